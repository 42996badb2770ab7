/* nfs/rights.c - asking a file system's policy about a connection (room: NFS). */
#include "nfs/rights.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "auth/policy.h"
#include "base/log.h"

/* The peer's address; an IPv4 one that came over IPv6 as IPv4. "": none that policies know. */
static void peer_text(const struct sockaddr_storage *peer, char out_text[INET6_ADDRSTRLEN])
{
    out_text[0] = '\0';
    if (peer->ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, peer, sizeof in);
        (void)inet_ntop(AF_INET, &in.sin_addr, out_text, INET6_ADDRSTRLEN);
    } else if (peer->ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, peer, sizeof in6);
        bool is_mapped = IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr);
        (void)inet_ntop(is_mapped ? AF_INET : AF_INET6, &in6.sin6_addr.s6_addr[is_mapped ? 12 : 0],
            out_text, INET6_ADDRSTRLEN);
    }
}

static unsigned ask_policy(
    const struct nfs_conn *conn, const struct policy *policy, const char *resource)
{
    static const struct {
        const char *action;
        enum nfs_right right;
    } actions[] = {
        { "elasticfilesystem:ClientMount", NFS_RIGHT_MOUNT },
        { "elasticfilesystem:ClientWrite", NFS_RIGHT_WRITE },
        { "elasticfilesystem:ClientRootAccess", NFS_RIGHT_ROOT },
    };
    static const char *const no = "false";
    static const char *const yes = "true";
    char address[INET6_ADDRSTRLEN];
    const char *source = address;
    unsigned rights = 0;
    peer_text(&conn->rpc->peer, address);
    const struct policy_key keys[] = { { "aws:SecureTransport", &no, 1 },
        { "elasticfilesystem:AccessedViaMountTarget", conn->volume != NULL ? &yes : &no, 1 },
        { "aws:SourceIp", &source, address[0] != '\0' } };
    struct policy_request request = {
        .resource = resource, .keys = keys, .key_count = ARRAY_SIZE(keys)
    };
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
        request.action = actions[i].action;
        if (policy_evaluate(policy, &request) == POLICY_ALLOWS)
            rights |= actions[i].right;
    }
    return rights;
}

static unsigned find_rights(const struct nfs_conn *conn, const struct nfs_volume *volume)
{
    const struct catalog *catalog = volume->server->options.catalog;
    char *json = NULL;
    struct policy *policy = NULL;
    char message[POLICY_MESSAGE_SIZE] = "no memory";
    char resource[CATALOG_ARN_SIZE];
    int err = catalog_fs_policy(catalog, volume->fs_id, &json);
    if (err == 0 && json == NULL)
        return NFS_RIGHT_ALL;
    if (err == 0)
        err = policy_parse(POLICY_OF_RESOURCE, slice_str(json), message, &policy);
    free(json);
    if (err < 0) {
        LOG_ERROR("a file system's policy cannot be read, nobody gets in", "fs=%s reason=\"%s\"",
            volume->fs_id, message);
        return 0;
    }
    catalog_arn(catalog, "file-system", volume->fs_id, resource);
    unsigned rights = ask_policy(conn, policy, resource);
    policy_free(policy);
    return rights;
}

unsigned nfs_rights(struct nfs_conn *conn, const struct nfs_volume *volume)
{
    uint64_t generation = catalog_generation(volume->server->options.catalog);
    if (conn->rights_generation != generation || conn->rights_tag != volume->tag ||
        !conn->has_rights) {
        conn->rights = find_rights(conn, volume);
        conn->rights_tag = volume->tag;
        conn->rights_generation = generation;
        conn->has_rights = true;
    }
    return conn->rights;
}
