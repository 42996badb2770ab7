/*
 * cli/doctor/reason.c - joins what this client sees with the reason that the server noted when it refused (room: cli).
 *
 * The server is asked for its last refusals (control/refusals.c) of the address that it sees us at, which is right behind a
 * NAT, too; then of the address that leads to the mount target, should the API be reached another way.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/doctor/doctor.h"

#define AGE_S_MAX 60.0 /* older ones are not of this run */

/* The address that packets to `target` would carry; false: there is no way to it. Nothing is sent. */
static bool source_towards(const char *target, char out_address[INET_ADDRSTRLEN])
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(2049) };
    socklen_t size = sizeof address;
    if (inet_pton(AF_INET, target, &address.sin_addr) != 1)
        return false;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
              getsockname(fd, (struct sockaddr *)&address, &size) == 0 &&
              inet_ntop(AF_INET, &address.sin_addr, out_address, INET_ADDRSTRLEN) != NULL;
    if (fd >= 0)
        (void)close(fd); /* nothing was sent */
    return ok;
}

/* Adds the newest refusal of `source` (NULL: as the server sees us). Gives whether there was one. */
static bool add_from(const struct doctor *doctor, const char *source, char *found, size_t size)
{
    const char *id = doctor->target.file_system;
    struct problem ignored;
    json_t *reply = NULL;
    size_t used = strlen(found);
    json_t *input = json_pack("{ss* ss* si}", "SourceIp", source, "FileSystemId",
        id[0] != '\0' ? id : NULL, "MaxResults", 1);
    int err = input == NULL
                  ? -ENOMEM
                  : service_ask_shoal(&doctor->service, "ListRefusals", input, &reply, &ignored);
    json_decref(input);
    const json_t *newest = json_array_get(json_object_get(reply, "Refusals"), 0);
    double age_s = json_real_value(json_object_get(reply, "Now")) -
                   json_real_value(json_object_get(newest, "Time"));
    bool is_it = err == 0 && newest != NULL && age_s <= AGE_S_MAX;
    if (is_it)
        (void)text_append(found, size, &used, "; the server says: %s (%s, %.0f s ago)",
            service_text(newest, "Reason"), service_text(newest, "Stage"),
            age_s > 0 ? age_s : 0.0); /* cut at most */
    json_decref(reply);
    return is_it;
}

void doctor_add_server_reason(const struct doctor *doctor, char *found, size_t size)
{
    char source[INET_ADDRSTRLEN];
    if (!add_from(doctor, NULL, found, size) && source_towards(doctor->target.address, source))
        (void)add_from(doctor, source, found, size); /* without it the client's view has to do */
}
