/*
 * command_api_user.c - api-user create: who may send leads or conversions, from the command line.
 */
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "service/catalog.h"

static const struct actor cli = { .name = "cli", .role = "admin" };

/* Options and the fields that they are (docs/openapi.yaml, ApiUserNew). */
enum shape { TEXT, LIST, NUMBER, YES };
static const struct {
    const char *option, *field;
    enum shape  shape;
} options[] = {
    { "--name", "name", TEXT },
    { "--role", "role", TEXT },
    { "--scopes", "scopes", LIST },
    { "--affiliate", "affiliate_id", TEXT },
    { "--source", "source_id", TEXT },
    { "--trader", "trader_id", TEXT },
    { "--account", "account", TEXT },
    { "--expires", "expires_at", TEXT },
    { "--rate", "rate_per_minute", NUMBER },
    { "--networks", "ip_whitelist", LIST },
    { "--autologin", "autologin", YES },
    { "--test", "test", YES },
};
#define OPTIONS (sizeof(options) / sizeof(options[0]))

/* "a,b,c" as texts; what is empty between commas stays, and is refused by whoever reads it. */
static json_t *
list_of(const char *text)
{
    json_t *list = json_array();

    while (text[0] != '\0') {
        size_t len = strcspn(text, ",");

        json_array_append_new(list, json_stringn(text, len));
        text += len + (text[len] == ',' && text[len + 1] != '\0');
        if (text[0] == ',')
            break;
    }
    return list;
}

static json_t *
value_of(size_t option, const char *text)
{
    char     *end;
    long long number;

    switch (options[option].shape) {
    case TEXT:
        return json_string(text);
    case LIST:
        if (strcmp(options[option].field, "ip_whitelist") != 0)
            return list_of(text);
        return json_pack("{s:b, s:o}", "enabled", 1, "ranges", list_of(text));
    case NUMBER:
        number = strtoll(text, &end, 10);
        return *end == '\0' && end != text ? json_integer(number) : json_string(text);
    case YES:
        return json_true();
    }
    return NULL;
}

/* NULL: an option that there is not, or one without its value. */
static json_t *
body_of(int argc, char **argv, bool *as_json)
{
    json_t *body = json_object();

    for (int i = 2; i < argc; i++) {
        size_t option = 0;

        if (strcmp(argv[i], "--json") == 0) {
            *as_json = true;
            continue;
        }
        while (option < OPTIONS && strcmp(argv[i], options[option].option) != 0)
            option++;
        if (option == OPTIONS || (options[option].shape != YES && ++i == argc)
            || json_object_set_new(body, options[option].field, value_of(option, argv[i])) != 0) {
            json_decref(body);
            return NULL;
        }
    }
    return body;
}

/* api-user create --name NAME --role ROLE [...]: the key alone on its line, since scripts read it; with --json all of it. */
int
command_api_user(struct app *app, struct command_io *io, int argc, char **argv)
{
    struct service_error error = { .fields = NULL };
    bool                 as_json = false;
    json_t              *body, *user = NULL;
    int64_t              program;
    enum service_result  result;

    if (argc < 2 || strcmp(argv[1], "create") != 0 || (body = body_of(argc, argv, &as_json)) == NULL)
        return command_usage(io, argv[0]);
    result = program_ensure(&app->service, &program, &error); /* a daemon may never have run here */
    if (result == SERVICE_OK)
        result = api_user_create(&app->service, &cli, body, &user, &error);
    json_decref(body);
    if (result != SERVICE_OK)
        return command_refused(io, argv[0], &error);
    if (as_json) {
        json_dumpf(user, io->out, JSON_INDENT(2));
        fputc('\n', io->out);
    } else {
        fprintf(io->out, "%s\n", json_string_value(json_object_get(user, "key")));
    }
    json_decref(user);
    return COMMAND_OK;
}
