/*
 * cli/cmd_ca.c - shoal ca: the node's certificate authority, which NFS clients with TLS have to trust (room: cli).
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "auth/ca.h"
#include "base/sys.h"
#include "cli/cli.h"
#include "cli/instance.h"

#define FILE_SIZE_MAX 65536u

static void print_fingerprint(const X509 *certificate)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (X509_digest(certificate, EVP_sha256(), digest, &size) != 1)
        return;
    (void)printf("SHA-256 fingerprint: ");
    for (unsigned i = 0; i < size; i++)
        (void)printf("%s%02X", i > 0 ? ":" : "", digest[i]);
    (void)printf("\n");
}

static int show(const struct instance *instance, const char *pem)
{
    BIO *in = BIO_new_mem_buf(pem, -1);
    X509 *certificate = in == NULL ? NULL : PEM_read_bio_X509(in, NULL, NULL, NULL);
    BIO_free(in);
    if (certificate == NULL) {
        ERR_clear_error();
        return cli_fail("%s/" CA_CERTIFICATE_FILE_NAME " is no certificate.", instance->data);
    }
    BIO *out = BIO_new_fp(stdout, BIO_NOCLOSE);
    if (out != NULL) {
        (void)printf("File: %s/" CA_CERTIFICATE_FILE_NAME "\nSubject: ", instance->data);
        (void)fflush(stdout); /* told below */
        (void)X509_NAME_print_ex(out, X509_get_subject_name(certificate), 0, XN_FLAG_ONELINE);
        (void)BIO_printf(out, "\nValid until: ");
        (void)ASN1_TIME_print(out, X509_get0_notAfter(certificate));
        (void)BIO_printf(out, "\n");
        (void)BIO_flush(out);
        print_fingerprint(certificate);
    }
    BIO_free(out);
    X509_free(certificate);
    return fflush(stdout) == 0 ? CLI_OK : cli_fail("Cannot write to the output.");
}

static int run(const struct instance *instance, bool is_export)
{
    char *pem = NULL;
    int err = sys_read_file(instance->dir_fd, CA_CERTIFICATE_FILE_NAME, FILE_SIZE_MAX, &pem);
    if (err == -ENOENT)
        return cli_fail("There is no " CA_CERTIFICATE_FILE_NAME
                        " in %s; the first start makes it: shoal up "
                        "--data %s",
            instance->data, instance->data);
    if (err < 0)
        return cli_fail("Cannot read %s/" CA_CERTIFICATE_FILE_NAME ": %s.", instance->data,
            strerrordesc_np(-err));
    int status = CLI_OK;
    if (!is_export)
        status = show(instance, pem);
    else if (fputs(pem, stdout) < 0 || fflush(stdout) != 0)
        status = cli_fail("Cannot write to the output.");
    free(pem);
    return status;
}

int cmd_ca(int argc, char **argv)
{
    const char *data = NULL;
    const struct cli_option options[] = { { "--data", &data, NULL } };
    int status = cli_parse(options, ARRAY_SIZE(options), &argc, argv);
    if (status != CLI_OK)
        return status;
    bool is_export = argc == 2 && strcmp(argv[1], "export") == 0;
    if (argc != 2 || (!is_export && strcmp(argv[1], "show") != 0))
        return cli_usage("`ca` takes show or export; see shoal ca --help.");
    struct instance instance;
    status = instance_open(data, &instance);
    if (status != CLI_OK)
        return status;
    status = run(&instance, is_export);
    instance_close(&instance);
    return status;
}
