/* base/list.h - an intrusive doubly linked list; a node is on one list at a time. */
#pragma once

#include "base/base.h"

struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_init(struct list *head)
{
    head->next = head;
    head->prev = head;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_add_tail(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void list_add_head(struct list *head, struct list *node)
{
    list_add_tail(head->next, node);
}

/* Leaves `node` as an empty list, so removing twice is harmless. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

#define LIST_ENTRY(node, type, member) CONTAINER_OF(node, type, member)

/* NOLINTBEGIN(bugprone-macro-parentheses): a declared name cannot stand in parentheses */
/* Visits each node; the body must not remove it. */
#define LIST_FOR_EACH(node, head) \
    for (struct list *node = (head)->next; node != (head); node = node->next)

/* Visits each node; the body may remove and free the one it is at. */
#define LIST_FOR_EACH_SAFE(node, head)                                                \
    for (struct list *node = (head)->next, *node##_next = node->next; node != (head); \
         node = node##_next, node##_next = node->next)
/* NOLINTEND(bugprone-macro-parentheses) */
