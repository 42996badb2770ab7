/*
 * tests/unit/control/fixture.h - a control server alone: a catalog in a temporary directory, volumes that are only
 * directories, HTTP on a free port of loopback.
 */
#pragma once

#include "auth/credentials.h"
#include "auth/key_store.h"
#include "auth/refusals.h"
#include "control/server.h"

struct control_fixture {
    char directory[128];
    bool own_directory; /* made by fixture_start(), removed by fixture_stop() */
    int dir_fd;
    uint16_t port;
    struct catalog *catalog;
    struct fs_volumes *volumes;
    struct key_store *keys;
    struct refusals *refusals;
    struct fs_provider provider;
    struct control_server *server;
    struct credentials admin;
    /* What the provider does, and the hooks saw. */
    _Atomic int create_error;  /* answered by create */
    _Atomic int destroy_error; /* answered by destroy */
    _Atomic unsigned create_count;
    _Atomic unsigned forgotten_fs_count;
    _Atomic unsigned forgotten_target_count;
};

/* `directory` NULL: a temporary one. `port` 0: any. Ends the process with a sentence when it fails. */
void fixture_start(struct control_fixture *fixture, const char *directory, uint16_t port);
/* Stops the server, keeps the directory; fixture_start_again() goes on with it. */
void fixture_pause(struct control_fixture *fixture);
void fixture_start_again(struct control_fixture *fixture);
void fixture_stop(struct control_fixture *fixture);
