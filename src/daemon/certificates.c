/*
 * daemon/certificates.c - certificates by address, made and renewed when they are needed (room: daemon).
 */
#include "daemon/certificates.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/text.h"

#define KEPT_MAX      256u /* certificates of addresses; beyond, the one used longest ago is forgotten */
#define FILE_SIZE_MAX (256u * 1024u)
#define DAY_S         INT64_C(86400)
#define LIFE_S        (90 * DAY_S)
#define RENEW_S       (30 * DAY_S) /* age at which a new one is made */
#define BACK_S        DAY_S        /* clocks of clients may be behind */

struct kept {
    struct tls_certificate *certificate; /* a reference; NULL: free */
    struct in_addr address;
    char fs_id[FS_ID_SIZE]; /* whose mount target is there; "": none */
    int64_t made_s;
    uint64_t used; /* by certificates->uses */
};

struct certificates {
    struct certificates_options options;
    struct mutex lock;
    struct tls_certificate *own; /* the operator's */
    struct timespec changed[2];  /* of its two files; main thread only */
    uint64_t uses;
    struct kept kept[KEPT_MAX];
};

/* ---- the operator's own ---- */

static struct timespec change_of(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? info.st_mtim : (struct timespec){ 0 };
}

static int read_own(
    const struct certificates_options *options, struct tls_certificate **out_certificate)
{
    char *chain = NULL;
    char *key = NULL;
    int err = sys_read_file(AT_FDCWD, options->certificate_path, FILE_SIZE_MAX, &chain);
    if (err == 0)
        err = sys_read_file(AT_FDCWD, options->key_path, FILE_SIZE_MAX, &key);
    if (err == 0)
        err = tls_certificate_new(slice_str(chain), slice_str(key), out_certificate);
    if (key != NULL)
        explicit_bzero(key, strlen(key));
    free(key);
    free(chain);
    return err;
}

static bool is_own(const struct certificates *certificates)
{
    return certificates->options.certificate_path[0] != '\0';
}

static void look_at_files(
    struct timespec out_changed[2], const struct certificates_options *options)
{
    out_changed[0] = change_of(options->certificate_path);
    out_changed[1] = change_of(options->key_path);
}

void certificates_tick(struct certificates *certificates)
{
    struct timespec changed[2] = { { 0 } };
    if (!is_own(certificates))
        return;
    look_at_files(changed, &certificates->options);
    if (memcmp(changed, certificates->changed, sizeof changed) == 0)
        return;
    memcpy(certificates->changed, changed, sizeof changed);
    struct tls_certificate *fresh = NULL;
    int err = read_own(&certificates->options, &fresh);
    if (err < 0) {
        LOG_ERROR("the new TLS certificate cannot be used, the one before it stays",
            "certificate=%s error=%s", certificates->options.certificate_path,
            strerrorname_np(-err));
        return;
    }
    mutex_lock(&certificates->lock);
    struct tls_certificate *before = certificates->own;
    certificates->own = fresh;
    mutex_unlock(&certificates->lock);
    tls_certificate_unref(before);
    LOG_INFO("TLS certificate read anew", "certificate=%s", certificates->options.certificate_path);
}

int certificates_new(const struct certificates_options *options,
    struct certificates **out_certificates, struct problem *out_problem)
{
    struct certificates *certificates = calloc(1, sizeof *certificates);
    if (certificates == NULL) {
        problem_set(out_problem, "There is no memory left to start with.");
        return -ENOMEM;
    }
    certificates->options = *options;
    certificates->lock = (struct mutex){ .pthread = PTHREAD_MUTEX_INITIALIZER };
    if (is_own(certificates)) {
        look_at_files(certificates->changed, options);
        int err = read_own(options, &certificates->own);
        if (err < 0) {
            problem_set(out_problem,
                "Cannot use tls.certificate %s with tls.key %s: %s. They have to be PEM files, the "
                "certificate first and then those that signed it, and the key that belongs to it, "
                "without a pass phrase.",
                options->certificate_path, options->key_path,
                err == -EINVAL ? "that is no certificate and its key" : strerrordesc_np(-err));
            certificates_free(certificates);
            return err;
        }
    }
    *out_certificates = certificates;
    return 0;
}

void certificates_free(struct certificates *certificates)
{
    if (certificates == NULL)
        return;
    for (size_t i = 0; i < KEPT_MAX; i++)
        tls_certificate_unref(certificates->kept[i].certificate);
    tls_certificate_unref(certificates->own);
    free(certificates);
}

/* ---- those of the node's authority ---- */

/* "*.efs.REGION.SUFFIX", or with more labels between. A name that is too long is left out: nobody can ask for it. */
static void add_name(
    struct ca_request *request, const char *more, const struct certificates_options *options)
{
    int size = snprintf(request->names[request->name_count], CA_DNS_NAME_SIZE, "*.%sefs.%s.%s",
        more, options->region, options->suffix);
    if (size > 0 && size < CA_DNS_NAME_SIZE)
        request->name_count++;
}

static struct tls_certificate *issue(const struct certificates *certificates,
    struct in_addr address, const char *fs_id, int64_t now_s)
{
    const struct certificates_options *options = &certificates->options;
    struct ca_request request = { .has_address = true,
        .address = address,
        .not_before_s = now_s - BACK_S,
        .not_after_s = now_s + LIFE_S };
    add_name(&request, "", options);
    if (fs_id[0] != '\0') { /* ZONE.fs-ID.efs... */
        char more[FS_ID_SIZE + 2];
        (void)snprintf(more, sizeof more, "%s.", fs_id);
        add_name(&request, more, options);
    }
    if ((ntohl(address.s_addr) >> 24) == 127)
        request.name_count +=
            text_copy(request.names[request.name_count], CA_DNS_NAME_SIZE, "localhost") == 0;
    char *certificate_pem = NULL;
    char *key_pem = NULL;
    struct tls_certificate *certificate = NULL;
    int err = ca_issue(options->ca, &request, &certificate_pem, &key_pem);
    if (err == 0) {
        err = tls_certificate_new(slice_str(certificate_pem), slice_str(key_pem), &certificate);
        explicit_bzero(key_pem, strlen(key_pem));
        free(key_pem);
        free(certificate_pem);
    }
    if (err < 0) {
        LOG_ERROR("no certificate could be made", "error=%s", strerrorname_np(-err));
        return NULL;
    }
    return certificate;
}

/* The place of the address, or that which is free or was used longest ago. */
static struct kept *find_place(struct certificates *certificates, struct in_addr address)
    REQUIRES(certificates->lock)
{
    struct kept *oldest = &certificates->kept[0];
    for (size_t i = 0; i < KEPT_MAX; i++) {
        struct kept *kept = &certificates->kept[i];
        if (kept->certificate != NULL && kept->address.s_addr == address.s_addr)
            return kept;
        if (kept->used < oldest->used)
            oldest = kept;
    }
    return oldest;
}

static struct tls_certificate *choose_locked(struct certificates *certificates,
    struct in_addr address, const char *fs_id) REQUIRES(certificates->lock)
{
    int64_t now_s = clock_wall_s();
    struct kept *kept = find_place(certificates, address);
    bool fits = kept->certificate != NULL && kept->address.s_addr == address.s_addr &&
                strcmp(kept->fs_id, fs_id) == 0;
    if (!fits || now_s - kept->made_s > RENEW_S || now_s < kept->made_s - BACK_S) {
        struct tls_certificate *fresh = issue(certificates, address, fs_id, now_s);
        if (fresh == NULL && !fits)
            return NULL;
        if (fresh != NULL) {
            tls_certificate_unref(kept->certificate);
            *kept = (struct kept){ .certificate = fresh, .address = address, .made_s = now_s };
            (void)text_copy(kept->fs_id, sizeof kept->fs_id, fs_id); /* of the same size */
        }
    }
    kept->used = ++certificates->uses;
    tls_certificate_ref(kept->certificate);
    return kept->certificate;
}

/* An IPv6 address that is no IPv4 one has no certificate of its own: it gets that for 0.0.0.0. */
static struct in_addr ipv4_of(const struct sockaddr_storage *local)
{
    struct in_addr address = { 0 };
    if (local->ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, local, sizeof in);
        address = in.sin_addr;
    } else if (local->ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, local, sizeof in6);
        if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
            memcpy(&address, &in6.sin6_addr.s6_addr[12], sizeof address);
    }
    return address;
}

struct tls_certificate *certificates_choose(void *context, const struct sockaddr_storage *local)
{
    struct certificates *certificates = context;
    struct in_addr address = ipv4_of(local);
    struct catalog_export export = { 0 };
    if (!is_own(certificates) &&
        catalog_find_export(certificates->options.catalog, address, &export) < 0)
        export.fs_id[0] = '\0';
    mutex_lock(&certificates->lock);
    struct tls_certificate *certificate = certificates->own;
    if (certificate != NULL)
        tls_certificate_ref(certificate);
    else
        certificate = choose_locked(certificates, address, export.fs_id);
    mutex_unlock(&certificates->lock);
    return certificate;
}
