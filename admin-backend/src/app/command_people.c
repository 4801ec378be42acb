/*
 * command_people.c - user, token, demo, migrate: what writes.
 */
#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/command.h"
#include "service/demo.h"
#include "service/people.h"

#define PASSWORD_BYTES 18 /* of entropy in a generated one: 24 characters */

static const struct actor cli = { .name = "cli", .role = "admin" };

int
command_migrate(struct app *app, struct command_io *io, int argc, char **argv)
{
    if (argc > 1)
        return command_usage(io, argv[0]);
    /* Opening the database to write has done it. */
    fprintf(io->out, "The database has this program's schema.\n");
    return COMMAND_OK;
}

/* user create EMAIL --role ROLE [--name NAME] [--password-stdin] */
int
command_user(struct app *app, struct command_io *io, int argc, char **argv)
{
    const char *role = command_option(argc, argv, "--role"), *name = command_option(argc, argv, "--name");
    char generated[sodium_base64_ENCODED_LEN(PASSWORD_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING)];
    const char *password = io->input;

    if (argc < 3 || strcmp(argv[1], "create") != 0 || argv[2][0] == '-' || role == NULL)
        return command_usage(io, argv[0]);
    if (password == NULL) {
        unsigned char bytes[PASSWORD_BYTES];
        randombytes_buf(bytes, sizeof(bytes));
        sodium_bin2base64(generated, sizeof(generated), bytes, sizeof(bytes),
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        password = generated;
    }

    struct service_error error = { .fields = NULL };
    json_t *body =
        json_pack("{s:s,s:s,s:s,s:s*}", "email", argv[2], "role", role, "password", password, "name", name);
    json_t *object = NULL;
    if (body == NULL)
        return command_failed(io, argv[0], "the arguments are no valid text");
    enum service_result result = staff_create(&app->service, &cli, body, &object, &error);
    json_decref(body);
    if (result != SERVICE_OK)
        return command_refused(io, argv[0], &error);

    fprintf(io->out, "%s\n", json_string_value(json_object_get(object, "email")));
    if (password == generated)
        fprintf(io->out, "password, shown only now: %s\n", generated);
    sodium_memzero(generated, sizeof(generated));
    json_decref(object);
    return COMMAND_OK;
}

/* token create --user EMAIL --name NAME */
int
command_token(struct app *app, struct command_io *io, int argc, char **argv)
{
    const char *email = command_option(argc, argv, "--user"), *name = command_option(argc, argv, "--name");
    struct service_error error = { .fields = NULL };
    char                 token[SECRET_MAX];

    if (argc < 2 || strcmp(argv[1], "create") != 0 || email == NULL || name == NULL)
        return command_usage(io, argv[0]);
    if (token_create(&app->service, &cli, email, name, token, &error) != SERVICE_OK)
        return command_refused(io, argv[0], &error);
    fprintf(io->out, "%s\n", token); /* alone on its line: scripts read it */
    sodium_memzero(token, sizeof(token));
    return COMMAND_OK;
}

/* Copies the file to out. */
static bool
print_file(const char *path, FILE *out)
{
    char   buffer[4096];
    size_t len;
    FILE  *in = fopen(path, "re");

    if (in == NULL)
        return false;
    while ((len = fread(buffer, 1, sizeof(buffer), in)) > 0)
        fwrite(buffer, 1, len, out);
    bool ok = !ferror(in);
    fclose(in);
    explicit_bzero(buffer, sizeof(buffer));
    return ok;
}

/*
 * demo [--out FILE]: FILE is absolute by now, main has seen to it.  Without it the
 * file lies in the state folder and is shown.
 */
int
command_demo(struct app *app, struct command_io *io, int argc, char **argv)
{
    const char          *out = command_option(argc, argv, "--out");
    struct service_error error = { .fields = NULL };
    char                 self[PATH_MAX], config[PATH_MAX] = "", own[PATH_MAX];

    if (argc != (out == NULL ? 1 : 3))
        return command_usage(io, argv[0]);
    snprintf(own, sizeof(own), "%s/demo.json", app->config.state);
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[len > 0 ? len : 0] = '\0';
    if (app->config_path != NULL && realpath(app->config_path, config) == NULL)
        config[0] = '\0';

    const struct demo_options options = {
        .file = out != NULL ? out : own,
        .redis_url = app->config.redis != NULL ? app->config.redis : "",
        .affiliated = self,
        .config = config,
    };
    if (demo_fill(&app->service, &options, &error) != SERVICE_OK)
        return command_refused(io, argv[0], &error);
    if (out == NULL && !print_file(own, io->out))
        return command_failed(io, argv[0], "cannot read %s", own);
    return COMMAND_OK;
}
