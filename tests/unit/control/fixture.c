/* tests/unit/control/fixture.c - a control server alone. */
#include "tests/unit/control/fixture.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/sys.h"
#include "tests/lib/fake_fs.h"

static _Noreturn void die(const char *what, const char *reason)
{
    (void)fprintf(stderr, "%s: %s\n", what, reason);
    exit(1);
}

static int provider_create(void *context, const char *fs_id, const char *key_id)
{
    struct control_fixture *fixture = context;
    (void)key_id;
    fixture->create_count++;
    if (fixture->create_error < 0)
        return fixture->create_error;
    /* A file of this name makes a process of its own fail, too. */
    if (faccessat(fixture->dir_fd, "fail-create", F_OK, 0) == 0)
        return -ENOSPC;
    /* And one of this name makes it wait, and so all that the worker has to do after it: then "hangs" is there. */
    const struct timespec pause = { .tv_nsec = 5000000 };
    while (faccessat(fixture->dir_fd, "hang-create", F_OK, 0) == 0) {
        int fd = sys_openat(fixture->dir_fd, "hangs", O_WRONLY | O_CREAT, 0600);
        if (fd >= 0)
            (void)close(fd);
        (void)nanosleep(&pause, NULL);
    }
    char path[96];
    (void)snprintf(path, sizeof path, "fs/%s", fs_id);
    return sys_mkdirat(fixture->dir_fd, path, 0700);
}

static int provider_open(void *context, const char *fs_id, struct fs **out_fs)
{
    (void)context;
    (void)fs_id;
    *out_fs = fake_fs_new();
    return 0;
}

static void provider_close(void *context, struct fs *fs)
{
    (void)context;
    fake_fs_free(fs);
}

static int provider_rekey(void *context, const char *fs_id, struct fs *fs)
{
    (void)context;
    (void)fs_id;
    (void)fs;
    return 0;
}

static int provider_destroy(void *context, const char *fs_id)
{
    struct control_fixture *fixture = context;
    if (fixture->destroy_error < 0)
        return fixture->destroy_error;
    char path[96];
    (void)snprintf(path, sizeof path, "fs/%s", fs_id);
    return sys_remove_tree(fixture->dir_fd, path);
}

static void forget_fs(void *context, const char *fs_id)
{
    (void)fs_id;
    ((struct control_fixture *)context)->forgotten_fs_count++;
}

static void forget_mount_target(void *context, const char *mount_target_id, struct in_addr address)
{
    (void)mount_target_id;
    (void)address;
    ((struct control_fixture *)context)->forgotten_target_count++;
}

static void start_server(struct control_fixture *fixture)
{
    char reason[CATALOG_REASON_SIZE] = "";
    char key_reason[KEY_STORE_REASON] = "";
    char path[160];
    (void)snprintf(path, sizeof path, "%s/catalog", fixture->directory);
    const struct catalog_options catalog_options = {
        .path = path, .region = "us-east-1", .account_id = "000000000000"
    };
    if (catalog_open(&catalog_options, reason, &fixture->catalog) < 0)
        die("catalog", reason);
    if (credentials_provide_admin(fixture->catalog, fixture->dir_fd, 1000) < 0 ||
        credentials_read(fixture->dir_fd, CREDENTIALS_FILE_NAME, &fixture->admin) < 0)
        die("credentials", "not made");
    fixture->provider = (struct fs_provider){ .name = "fake",
        .context = fixture,
        .create = provider_create,
        .open = provider_open,
        .close = provider_close,
        .destroy = provider_destroy,
        .rekey = provider_rekey };
    if (key_store_open(fixture->dir_fd, NULL, key_reason, &fixture->keys) < 0)
        die("key store", key_reason);
    if (fs_volumes_new(&fixture->provider, &fixture->volumes) < 0)
        die("volumes", "not made");
    if (refusals_new(&fixture->refusals) < 0)
        die("refusals", "not made");
    struct control_options options = {
        .catalog = fixture->catalog,
        .volumes = fixture->volumes,
        .keys = fixture->keys,
        .refusals = fixture->refusals,
        .hooks = { .context = fixture,
            .forget_fs = forget_fs,
            .forget_mount_target = forget_mount_target },
    };
    struct sockaddr_in *address = (struct sockaddr_in *)&options.address;
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address->sin_port = htons(fixture->port);
    if (control_server_new(&options, &fixture->server) < 0 ||
        control_server_start(fixture->server, reason) < 0)
        die("server", reason);
    fixture->port = control_server_port(fixture->server);
}

void fixture_start(struct control_fixture *fixture, const char *directory, uint16_t port)
{
    *fixture = (struct control_fixture){ .port = port, .own_directory = directory == NULL };
    (void)snprintf(fixture->directory, sizeof fixture->directory, "%s",
        directory != NULL ? directory : "/tmp/shoal-control-XXXXXX");
    if (directory == NULL && mkdtemp(fixture->directory) == NULL)
        die("directory", "not made");
    fixture->dir_fd = sys_openat(AT_FDCWD, fixture->directory, O_RDONLY | O_DIRECTORY, 0);
    if (fixture->dir_fd < 0 || sys_mkdirat(fixture->dir_fd, "fs", 0700) < 0)
        die("directory", "not opened");
    start_server(fixture);
}

void fixture_pause(struct control_fixture *fixture)
{
    control_server_drain(fixture->server, 5000);
    control_server_free(fixture->server);
    fs_volumes_free(fixture->volumes);
    key_store_close(fixture->keys);
    refusals_free(fixture->refusals);
    catalog_close(fixture->catalog);
}

void fixture_start_again(struct control_fixture *fixture)
{
    fixture->port = 0;
    start_server(fixture);
}

void fixture_stop(struct control_fixture *fixture)
{
    fixture_pause(fixture);
    (void)close(fixture->dir_fd);
    if (fixture->own_directory && sys_remove_tree(AT_FDCWD, fixture->directory) < 0)
        die("directory", "not removed");
}
