/* tests/unit/daemon/test_certificates.c - certificates of the node's authority: kept, renewed in time, one for each address. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/sys.h"
#include "catalog/records.h"
#include "daemon/certificates.h"

#define DAY_S INT64_C(86400)

static int64_t now_s = INT64_C(1440938160);

/* Takes the place of the clock (the linker's --wrap). */
int64_t __wrap_clock_wall_s(void); // NOLINT(bugprone-reserved-identifier): ld's name
int64_t __wrap_clock_wall_s(void)  // NOLINT(bugprone-reserved-identifier): ld's name
{
    return now_s;
}

struct fixture {
    char directory[64];
    int dir_fd;
    struct catalog *catalog;
    struct ca *ca;
    struct certificates *certificates;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char path[96];
    char reason[CATALOG_REASON_SIZE];
    struct problem problem;
    assert_non_null(f);
    (void)snprintf(f->directory, sizeof f->directory, "/tmp/shoal-certificates-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    f->dir_fd = sys_openat(AT_FDCWD, f->directory, O_RDONLY | O_DIRECTORY, 0);
    (void)snprintf(path, sizeof path, "%s/catalog", f->directory);
    const struct catalog_options options = {
        .path = path, .region = "us-east-1", .account_id = "000000000000"
    };
    assert_int_equal(catalog_open(&options, reason, &f->catalog), 0);
    assert_int_equal(ca_open(f->dir_fd, "node", now_s, &f->ca), 0);
    const struct certificates_options wanted = { .ca = f->ca,
        .catalog = f->catalog,
        .region = "us-east-1",
        .suffix = "shoal.internal",
        .certificate_path = "",
        .key_path = "" };
    assert_int_equal(certificates_new(&wanted, &f->certificates, &problem), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    certificates_free(f->certificates);
    ca_close(f->ca);
    catalog_close(f->catalog);
    (void)close(f->dir_fd);
    assert_int_equal(sys_remove_tree(AT_FDCWD, f->directory), 0);
    free(f);
    return 0;
}

static struct tls_certificate *at(const struct fixture *f, const char *text)
{
    struct sockaddr_storage local = { 0 };
    struct sockaddr_in in = { .sin_family = AF_INET };
    assert_int_equal(inet_pton(AF_INET, text, &in.sin_addr), 1);
    memcpy(&local, &in, sizeof in);
    return certificates_choose(f->certificates, &local);
}

static void a_certificate_is_kept_and_made_anew_long_before_it_ends(void **state)
{
    const struct fixture *f = *state;
    int64_t start_s = now_s;
    struct tls_certificate *first = at(f, "127.16.0.1");
    assert_non_null(first);
    struct tls_certificate *again = at(f, "127.16.0.1");
    assert_ptr_equal(first, again);
    now_s = start_s + 29 * DAY_S;
    struct tls_certificate *still = at(f, "127.16.0.1");
    assert_ptr_equal(first, still);
    now_s = start_s + 31 * DAY_S;
    struct tls_certificate *renewed = at(f, "127.16.0.1");
    assert_ptr_not_equal(first, renewed);
    assert_non_null(renewed);
    /* A clock that was set back, as after a wrong start: what was made in its future is not shown. */
    now_s = start_s - 10 * DAY_S;
    struct tls_certificate *back = at(f, "127.16.0.1");
    assert_ptr_not_equal(renewed, back);
    now_s = start_s;
    tls_certificate_unref(first);
    tls_certificate_unref(again);
    tls_certificate_unref(still);
    tls_certificate_unref(renewed);
    tls_certificate_unref(back);
}

static void each_address_has_its_own_and_the_longest_unused_is_forgotten(void **state)
{
    const struct fixture *f = *state;
    char text[INET_ADDRSTRLEN];
    struct tls_certificate *first = at(f, "127.16.0.1");
    struct tls_certificate *second = at(f, "127.16.0.2");
    assert_ptr_not_equal(first, second);
    for (unsigned i = 3; i < 260; i++) { /* more than are kept, and the second one is used on */
        (void)snprintf(text, sizeof text, "127.17.%u.%u", i / 256, i % 256);
        tls_certificate_unref(at(f, text));
        struct tls_certificate *used = at(f, "127.16.0.2");
        assert_ptr_equal(used, second);
        tls_certificate_unref(used);
    }
    struct tls_certificate *anew = at(f, "127.16.0.1");
    assert_ptr_not_equal(anew, first);
    tls_certificate_unref(anew);
    tls_certificate_unref(first);
    tls_certificate_unref(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_certificate_is_kept_and_made_anew_long_before_it_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(
            each_address_has_its_own_and_the_longest_unused_is_forgotten, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
