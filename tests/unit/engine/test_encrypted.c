/* Encrypted file systems: what the files of the directory hold, and what happens without the key. */
#include <dirent.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"
#include "engine/crypt.h"
#include "engine/gcm.h"
#include "fixture.h"

#include <cmocka.h>

#define FS_NAME  "fs-0123456789abcdef0"
#define BIG      (256u * 1024)
#define NAMES    400u
#define FILE_MAX (64u << 20)

/* None of these may be found in any file. */
static const char *const secrets[] = { "Content-of-a-large-file", "content-of-a-small-file",
    "a-name-nobody-shall-read", "target-of-a-symbolic-link", "name-of-an-attribute",
    "value-of-an-attribute", "name-that-was-removed", "owner-string-of-a-client" };

static uint8_t big[BIG];

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const struct engine_options options = {
        .segment_blocks = 256, .dirty_age_ms = 50, .journal_file_bytes = 256 << 10
    };
    for (size_t at = 0; at + 32 <= sizeof big; at += 32)
        (void)snprintf((char *)big + at, 32, "%s %06zu", secrets[0], at / 32);
    fixture_init_encrypted(f, &options);
    log_set_level(LOG_LEVEL_ERROR);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_fini(*state);
    free(*state);
    return 0;
}

static unsigned found_count; /* of nftw()'s callback, which takes no context */
static unsigned file_count;

static int look_for_secrets(const char *path, const struct stat *st, int type, struct FTW *place)
{
    (void)place;
    if (type != FTW_F || st->st_size > FILE_MAX)
        return 0;
    uint8_t *bytes = malloc((size_t)st->st_size + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_non_null(bytes);
    assert_true(fd >= 0);
    ssize_t got = read(fd, bytes, (size_t)st->st_size);
    (void)close(fd);
    for (size_t i = 0; got > 0 && i < ARRAY_SIZE(secrets); i++) {
        if (memmem(bytes, (size_t)got, secrets[i], strlen(secrets[i])) == NULL)
            continue;
        print_message("%s holds \"%s\"\n", path, secrets[i]);
        found_count++;
    }
    file_count++;
    free(bytes);
    return 0;
}

static unsigned count_secrets(const char *directory)
{
    found_count = 0;
    file_count = 0;
    assert_int_equal(nftw(directory, look_for_secrets, 16, FTW_PHYS), 0);
    return found_count;
}

/* Something of every kind that holds what a user wrote. */
static void fill(struct fixture *f)
{
    struct fs_created created;
    struct fs_change change;
    struct fs_node file = fixture_file(f, secrets[2]);
    fixture_write(f, file, 0, big, sizeof big, FS_UNSTABLE);
    assert_int_equal(fs_commit(f->fs, file, 0, 0), 0);
    struct fs_node small = fixture_file(f, "a-name-nobody-shall-read-2");
    fixture_write(f, small, 0, secrets[1], strlen(secrets[1]), FS_FILE_SYNC);
    fixture_write(f, file, 12288, big, 4096, FS_FILE_SYNC);
    struct fs_create link = { .type = FS_SYMLINK, .symlink = slice_str(secrets[3]) };
    assert_int_equal(fs_create(f->fs, NULL, f->root, slice_str("link"), &link, &created), 0);
    struct fs_setxattr xattr = { .name = slice_str(secrets[4]), .value = slice_str(secrets[5]) };
    assert_int_equal(fs_setxattr(f->fs, NULL, file, &xattr, &change), 0);
    (void)fixture_file(f, secrets[6]);
    assert_int_equal(fs_remove(f->fs, NULL, f->root, slice_str(secrets[6]), &change), 0);
    assert_int_equal(fs_record_put(f->fs, slice_str("\1\2\3"), slice_str(secrets[7])), 0);
    for (unsigned i = 0; i < NAMES; i++) { /* enough for the log to go round */
        char name[64];
        (void)snprintf(name, sizeof name, "%s-many-%u", secrets[2], i);
        fixture_write(f, fixture_file(f, name), 0, big, 4096, FS_FILE_SYNC);
    }
}

static void check_filled(struct fixture *f)
{
    uint8_t *bytes = malloc(BIG);
    struct fs_attr attr;
    struct fs_read read;
    assert_int_equal(fs_lookup(f->fs, NULL, f->root, slice_str(secrets[2]), &attr), 0);
    assert_int_equal(fs_read(f->fs, attr.node, 0, bytes, BIG, &read), 0);
    assert_int_equal(read.size, BIG);
    assert_memory_equal(bytes, big, 12288);
    assert_memory_equal(bytes + 12288, big, 4096);
    assert_memory_equal(bytes + 16384, big + 16384, BIG - 16384);
    char value[64];
    struct fs_buffer buffer = { .bytes = (uint8_t *)value, .capacity = sizeof value };
    assert_int_equal(fs_getxattr(f->fs, NULL, attr.node, slice_str(secrets[4]), &buffer), 0);
    assert_memory_equal(value, secrets[5], strlen(secrets[5]));
    free(bytes);
}

static void no_file_of_the_directory_holds_plain_text(void **state)
{
    struct fixture *f = *state;
    fill(f);
    check_filled(f);
    assert_int_equal(
        count_secrets(f->directory), 0); /* the log, segments, before tables are written */
    fixture_reopen(f);
    assert_int_equal(count_secrets(f->directory), 0); /* tables too */
    assert_true(file_count > 8);
    check_filled(f);
}

/* The test above looks in the right places. */
static void a_plain_file_system_holds_it_all(void **state)
{
    struct fixture plain;
    (void)state;
    fixture_init(&plain, NULL);
    if (!plain.is_encrypted) {
        fill(&plain);
        assert_true(count_secrets(plain.directory) >= 2);
        fixture_reopen(&plain);
        assert_true(count_secrets(plain.directory) >= ARRAY_SIZE(secrets) - 1);
    }
    fixture_fini(&plain);
}

static void path_of(const struct fixture *f, const char *name, char path[256])
{
    (void)snprintf(path, 256, "%s/" FS_NAME "/%s", f->directory, name);
}

static void flip(const char *path, uint64_t at)
{
    uint8_t byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    (void)close(fd);
}

static void a_flipped_bit_of_data_or_salt_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct fs_node node = fixture_file(f, "file");
    uint8_t bytes[4096];
    struct fs_read read;
    char path[256];
    fixture_write(f, node, 0, big, 16 * 4096, FS_UNSTABLE);
    fixture_close(f);
    path_of(f, "data/0000000000000001.seg", path);
    flip(path, 5 * 4096 + 77); /* block 0 is the header, so this is the file's block 4 */
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(fs_read(f->fs, node, 4 * 4096, bytes, sizeof bytes, &read), -EIO);
    assert_int_equal(fs_read(f->fs, node, 4 * 4096 + 1000, bytes, 10, &read), -EIO);
    assert_int_equal(fs_read(f->fs, node, 5 * 4096, bytes, sizeof bytes, &read), 0);
    assert_memory_equal(bytes, big + 5 * 4096, sizeof bytes);
    fixture_close(f);
    flip(path, 5 * 4096 + 77);
    flip(path, 53); /* the salt */
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(fs_read(f->fs, node, 0, bytes, sizeof bytes, &read), -EIO);
    fixture_close(f);
    flip(path, 53);
    assert_int_equal(fixture_open(f), 0);
    assert_int_equal(fs_read(f->fs, node, 4 * 4096, bytes, sizeof bytes, &read), 0);
    assert_memory_equal(bytes, big + 4 * 4096, sizeof bytes);
}

static void a_damaged_or_missing_key_opens_nothing(void **state)
{
    struct fixture *f = *state;
    char path[256];
    char saved[256];
    path_of(f, "key", path);
    path_of(f, "saved", saved);
    fixture_close(f);
    for (uint64_t at = 0; at < 100; at += 9) {
        flip(path, at);
        assert_true(fixture_open(f) < 0);
        flip(path, at);
    }
    assert_int_equal(rename(path, saved), 0);
    assert_int_equal(fixture_open(f), -EBADMSG);
    assert_int_equal(rename(saved, path), 0);
    assert_int_equal(fixture_open(f), 0);
}

static int rekey(struct fixture *f)
{
    return f->provider->rekey(f->provider->context, FS_NAME, f->fs);
}

static void without_its_key_every_call_fails_and_with_it_all_is_there(void **state)
{
    struct fixture *f = *state;
    struct fs_node node = fixture_file(f, "file");
    struct fs_attr attr;
    struct fs_read read;
    uint8_t bytes[16];
    struct fs_create how = { .type = FS_REGULAR, .attr = { .set_mode = true, .mode = 0644 } };
    struct fs_created created;
    fixture_write(f, node, 0, big, 100000, FS_UNSTABLE);
    f->keeper.is_disabled = true;
    assert_int_equal(rekey(f), -EKEYREVOKED);
    assert_int_equal(fs_getattr(f->fs, node, &attr), -EIO);
    assert_int_equal(fs_lookup(f->fs, NULL, f->root, slice_str("file"), &attr), -EIO);
    assert_int_equal(fs_read(f->fs, node, 0, bytes, sizeof bytes, &read), -EIO);
    assert_int_equal(fs_commit(f->fs, node, 0, 0), -EIO);
    assert_int_equal(fs_create(f->fs, NULL, f->root, slice_str("new"), &how, &created), -EIO);
    f->keeper.is_disabled = false;
    assert_int_equal(rekey(f), 0);
    assert_int_equal(fs_commit(f->fs, node, 0, 0), 0);
    f->keeper.is_disabled = true;
    fixture_close(f);
    assert_int_equal(fixture_open(f), -ENOKEY);
    f->keeper.is_disabled = false;
    assert_int_equal(fixture_open(f), 0);
    uint8_t *all = malloc(100000);
    assert_int_equal(fs_read(f->fs, node, 0, all, 100000, &read), 0);
    assert_memory_equal(all, big, 100000);
    free(all);
}

static void a_rotated_key_wraps_again_in_place(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(f->keeper.wrap_count, 1);
    fill(f);
    f->keeper.version = 2;
    assert_int_equal(rekey(f), 0); /* while it is open */
    assert_int_equal(f->keeper.wrap_count, 2);
    assert_int_equal(rekey(f), 0);
    assert_int_equal(f->keeper.wrap_count, 2);
    check_filled(f);
    fixture_close(f);
    f->keeper.version = 3;
    assert_int_equal(rekey(f), 0); /* while it is closed */
    assert_int_equal(f->keeper.wrap_count, 3);
    f->keeper.version = 4;
    assert_int_equal(fixture_open(f), 0); /* at its opening */
    assert_int_equal(f->keeper.wrap_count, 4);
    check_filled(f);
}

static void copy_directory(const struct fixture *f, const char *to)
{
    char command[256];
    (void)snprintf(command, sizeof command, "cp -a %s/. %s", f->directory, to);
    assert_int_equal(system(command), 0);
}

static void read_segment(const char *directory, const char *name, uint8_t *bytes, size_t size)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/" FS_NAME "/data/%s", directory, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(sys_pread_all(fd, bytes, size, 4096), 0);
    (void)close(fd);
}

/* Both go on from the same numbers, so only the salts keep them apart. */
static void a_restored_copy_never_seals_with_the_same_nonces(void **state)
{
    struct fixture *f = *state;
    char copy[] = "/tmp/shoal-copy-XXXXXX";
    char name[64] = "";
    assert_non_null(mkdtemp(copy));
    struct fs_node node = fixture_file(f, "file");
    fixture_close(f);
    copy_directory(f, copy);
    assert_int_equal(fixture_open(f), 0);
    fixture_write(f, node, 0, big, BIG, FS_FILE_SYNC);
    struct fixture other;
    fixture_attach(&other, &f->options, copy);
    assert_int_equal(fixture_open(&other), 0);
    fixture_write(&other, node, 0, big, BIG, FS_FILE_SYNC);
    char path[256];
    path_of(f, "data", path);
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.')
            (void)snprintf(name, sizeof name, "%.60s", entry->d_name);
    }
    (void)closedir(dir);
    uint8_t first[8192];
    uint8_t second[8192];
    read_segment(f->directory, name, first, sizeof first);
    read_segment(copy, name, second, sizeof second);
    unsigned equal = 0;
    for (size_t i = 0; i < sizeof first; i++)
        equal += first[i] == second[i];
    assert_true(equal < sizeof first / 16); /* by chance one byte in 256 */
    fixture_fini(&other);
}

static void what_was_sealed_opens_only_as_it_was(void **state)
{
    (void)state;
    uint8_t data_key[FS_DATA_KEY_BYTES] = { 7 };
    struct crypt *crypt;
    struct crypt *other;
    struct crypt_context *context;
    assert_int_equal(crypt_new(data_key, 5, &crypt), 0);
    data_key[31] = 1;
    assert_int_equal(crypt_new(data_key, 5, &other), 0);
    assert_int_equal(crypt_context_get(crypt, &context), 0);
    uint8_t sealed[3 + CRYPT_VALUE_BYTES];
    uint8_t again[3 + CRYPT_VALUE_BYTES];
    uint8_t plain[3];
    crypt_value_seal(crypt, context, slice_str("key"), slice_str("abc"), sealed);
    crypt_value_seal(crypt, context, slice_str("key"), slice_str("abc"), again);
    assert_int_equal(crypt_number_next(crypt), 7);
    assert_memory_not_equal(sealed, again, 6);
    struct slice whole = slice_of(sealed, sizeof sealed);
    assert_int_equal(crypt_value_open(crypt, slice_str("key"), whole, plain), 0);
    assert_memory_equal(plain, "abc", 3);
    assert_int_equal(crypt_value_open(crypt, slice_str("kez"), whole, plain), -EBADMSG);
    assert_int_equal(crypt_value_open(other, slice_str("key"), whole, plain), -EBADMSG);
    for (size_t i = 0; i < sizeof sealed; i++) {
        sealed[i] ^= 4;
        assert_int_equal(crypt_value_open(crypt, slice_str("key"), whole, plain), -EBADMSG);
        sealed[i] ^= 4;
    }
    uint8_t block[BLOCK_BYTES];
    uint8_t tag[CRYPT_TAG_BYTES];
    crypt_block_seal(context, 9, 1, big, block, tag);
    assert_false(crypt_block_open(context, 10, 1, block, tag));
    crypt_block_seal(context, 9, 2, big, block, tag);
    assert_true(crypt_block_open(context, 9, 2, block, tag));
    assert_memory_equal(block, big, sizeof block);
    crypt_context_put(crypt, context);
    crypt_free(crypt);
    crypt_free(other);
}

/* AES-256-GCM by OpenSSL: what the library that is faster here must agree with. */
static void seal_by_openssl(const uint8_t *key, const uint8_t *nonce, struct slice extra,
    struct slice from, uint8_t *to, uint8_t *tag)
{
    int done;
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, nonce), 1);
    assert_int_equal(EVP_EncryptUpdate(cipher, NULL, &done, extra.data, (int)extra.size), 1);
    assert_int_equal(EVP_EncryptUpdate(cipher, to, &done, from.data, (int)from.size), 1);
    assert_int_equal(EVP_EncryptFinal_ex(cipher, to + from.size, &done), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, GCM_TAG_BYTES, tag), 1);
    EVP_CIPHER_CTX_free(cipher);
}

static void both_libraries_give_the_same_bytes(void **state)
{
    (void)state;
    static const size_t sizes[] = { 1, 15, 16, 17, 81, 255, 256, 1000, 4095, 4096 };
    uint8_t key[GCM_KEY_BYTES];
    uint8_t nonce[GCM_NONCE_BYTES];
    uint8_t sealed[4096];
    uint8_t expected[4096];
    uint8_t tag[GCM_TAG_BYTES];
    uint8_t expected_tag[GCM_TAG_BYTES];
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct gcm *gcm;
        struct slice from = slice_of(big + i, sizes[i]);
        struct slice extra = slice_of(big, 1 + 3 * i);
        memset(key, (int)i + 1, sizeof key);
        memset(nonce, (int)i + 7, sizeof nonce);
        assert_int_equal(gcm_new(key, &gcm), 0);
        gcm_seal(gcm, nonce, extra, from, sealed, tag);
        seal_by_openssl(key, nonce, extra, from, expected, expected_tag);
        assert_memory_equal(sealed, expected, sizes[i]);
        assert_memory_equal(tag, expected_tag, sizeof tag);
        assert_true(gcm_open(gcm, nonce, extra, slice_of(sealed, sizes[i]), sealed, tag));
        assert_memory_equal(sealed, from.data, sizes[i]);
        tag[i] ^= 1;
        assert_false(gcm_open(gcm, nonce, extra, slice_of(expected, sizes[i]), sealed, tag));
        gcm_free(gcm);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_file_of_the_directory_holds_plain_text, setup, teardown),
        cmocka_unit_test_setup_teardown(a_plain_file_system_holds_it_all, setup, teardown),
        cmocka_unit_test_setup_teardown(a_flipped_bit_of_data_or_salt_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_or_missing_key_opens_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(
            without_its_key_every_call_fails_and_with_it_all_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown(a_rotated_key_wraps_again_in_place, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_restored_copy_never_seals_with_the_same_nonces, setup, teardown),
        cmocka_unit_test_setup_teardown(both_libraries_give_the_same_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_sealed_opens_only_as_it_was, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
