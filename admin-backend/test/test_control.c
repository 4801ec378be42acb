/*
 * Configuration and the command line's way into the daemon.
 *
 * A misspelt key that is silently ignored puts a database where nobody looks; a
 * relative path depends on who started the daemon; a control socket that runs a
 * reading command, or anything at all for another user, is a hole; a request that is
 * nonsense must not end the daemon.
 */
#include "test_support.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "app/command.h"
#include "app/control.h"

/* ---- configuration ---- */

static bool
load(struct config *config, const char *text, char *error)
{
    char path[] = "/tmp/affiliated-test-XXXXXX";
    int  fd = mkstemp(path);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t) strlen(text));
    close(fd);
    config_init(config);
    bool ok = config_load(config, path, error, 512);
    unlink(path);
    return ok;
}

static void
a_configuration_is_read(void **state)
{
    struct config config;
    char          error[512];

    assert_true(load(&config,
                     "; a comment\n[affiliated]\n database = sqlite:/a/b.db ; behind\nredis=[::1]:6379\n"
                     "listen = unix:/run/x.sock\nkey_file=/k\nbase_url = https://x.example/\npartitions=4\n"
                     "state=/s\nlog_level=debug\n\n[detection]\nagents = /d/agents.txt\n",
                     error));
    assert_string_equal(config.database, "sqlite:/a/b.db");
    assert_string_equal(config.redis_host, "::1");
    assert_int_equal(config.redis_port, 6379);
    assert_string_equal(config.listen_path, "/run/x.sock");
    assert_string_equal(config.base_url, "https://x.example");
    assert_int_equal(config.partitions, 4);
    assert_int_equal(config.log_level, LOG_LEVEL_DEBUG);
    assert_string_equal(config.agents, "/d/agents.txt");
    assert_null(config.datacentres);
    assert_true(config_require(&config, ~0u, error, sizeof(error)));
    config_clear(&config);

    /* The command line wins, whichever is read first. */
    config_init(&config);
    assert_true(config_set(&config, "redis=unix:/r.sock", error, sizeof(error)));
    assert_true(config_set(&config, "detection.datacentres=/d/asns", error, sizeof(error)));
    assert_string_equal(config.datacentres, "/d/asns");
    char path[] = "/tmp/affiliated-test-XXXXXX";
    int  fd = mkstemp(path);
    dprintf(fd, "[affiliated]\nredis=h:1\n");
    close(fd);
    assert_true(config_load(&config, path, error, sizeof(error)));
    unlink(path);
    assert_string_equal(config.redis_path, "/r.sock");
    assert_null(config.redis_host);
    assert_false(config_require(&config, CONFIG_NEEDS_REDIS | CONFIG_NEEDS_STATE, error, sizeof(error)));
    assert_non_null(strstr(error, "\"state\""));
    config_clear(&config);
}

static void
a_bad_configuration_is_named(void **state)
{
    static const struct {
        const char *text, *complaint;
    } bad[] = {
        { "[affiliated]\ndatabse = sqlite:/x\n", "line 2: \"databse\"" },
        { "[affiliated]\nstate=/a\n\nstate=/b\n", "line 4: \"state\" is said twice" },
        { "database = sqlite:/x\n", "line 1: \"database\" does not stand in section" },
        { "[other]\nstate=/x\n", "line 2: \"state\" does not stand in section" },
        { "[detection]\nstate=/x\n", "line 2: \"state\" is no key of this section" },
        { "[affiliated]\ndetection.agents=/x\n", "line 2: \"detection.agents\" is no key of ours" },
        { "[detection]\nagents=lists/agents.txt\n", "absolute" },
        { "[affiliated]\ndatabase = sqlite:x.db\n", "absolute" },
        { "[affiliated]\ndatabase = /x.db\n", "sqlite:/path" },
        { "[affiliated]\nkey_file = edge.key\n", "absolute" },
        { "[affiliated]\nstate = var\n", "absolute" },
        { "[affiliated]\nredis = unix:r.sock\n", "absolute" },
        { "[affiliated]\nredis = localhost\n", "host:port" },
        { "[affiliated]\nredis = localhost:0\n", "port" },
        { "[affiliated]\nredis = localhost:66000\n", "port" },
        { "[affiliated]\nredis = localhost:63x\n", "port" },
        { "[affiliated]\nlisten = 127.0.0.1:80\n", "unix:/path" },
        { "[affiliated]\nbase_url = example.com\n", "http" },
        { "[affiliated]\nbase_url = https://x/?a\n", "no query" },
        { "[affiliated]\npartitions = 0\n", "between" },
        { "[affiliated]\npartitions = 8x\n", "between" },
        { "[affiliated]\nlog_level = loud\n", "debug" },
        { "[affiliated]\nstate /x\n", "line 2: is not" },
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct config config;
        char          error[512] = "";
        assert_false(load(&config, bad[i].text, error));
        if (strstr(error, bad[i].complaint) == NULL)
            fail_msg("%s is refused with: %s", bad[i].text, error);
        config_clear(&config);
    }
}

/* What is said of mails: where to, how safely, in whose name. */
static void
mails_go_where_they_are_told(void **state)
{
    static const struct {
        const char   *text;
        enum smtp_tls tls; /* 0: it does not fit together */
    } all[] = {
        { "smtp=smtp://m.example:587\nmail_from=a@b.example\n", SMTP_TLS_REQUIRED },
        { "smtp=smtps://m.example\nmail_from=a@b.example\n", SMTP_TLS_REQUIRED },
        { "smtp=smtp://localhost\nmail_from=a@b.example\n", SMTP_TLS_OFF },
        { "smtp=smtp://127.0.0.1:25\nmail_from=A B <a@b.example>\n", SMTP_TLS_OFF },
        { "smtp=smtp://[::1]:25\nmail_from=a@b.example\nsmtp_user=u\nsmtp_password_file=/p\n", SMTP_TLS_OFF },
        { "smtp=smtp://[::1]:25\nmail_from=a@b.example\nsmtp_tls=required\n", SMTP_TLS_REQUIRED },
        { "smtp=smtp://localhost.b.example\nmail_from=a@b.example\n", SMTP_TLS_REQUIRED },
        { "smtp=smtp://127.0.0.1.b.example\nmail_from=a@b.example\n", SMTP_TLS_REQUIRED },
        { "smtp=smtp://[::1%lo]\nmail_from=a@b.example\n", 0 },
        { "smtp=smtps://m.example\nmail_from=a@b.example\nsmtp_user=u\nsmtp_password_file=/p\nsmtp_tls=off\n", SMTP_TLS_OFF },
        { "smtp=smtp://m.example\nmail_from=a@b.example\nsmtp_user=u\nsmtp_password_file=/p\nsmtp_tls=off\n", 0 },
        { "smtp=smtp://m.example\nmail_from=a@b.example\nsmtp_password_file=/p\n", 0 },
        { "smtp=smtp://m.example\n", 0 },
        { "smtp=smtp://\nmail_from=a@b.example\n", 0 },
        { "smtp=smtp://m.example:0\nmail_from=a@b.example\n", 0 },
        { "smtp=smtp://m.example?x\nmail_from=a@b.example\n", 0 },
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct smtp_options options = { .tls = 0 };
        struct config       config;
        char                text[512], error[512] = "";
        bool                sound;

        snprintf(text, sizeof(text), "[affiliated]\n%s", all[i].text);
        sound = load(&config, text, error) && config_smtp(&config, &options, error, sizeof(error));
        if (sound != (all[i].tls != 0) || (sound && options.tls != all[i].tls))
            fail_msg("%s: %d %s", all[i].text, options.tls, error);
        config_clear(&config);
    }
}

/* ---- control ---- */

struct world {
    struct test_database db;
    struct app           app;
    struct control      *control;
};

static int
setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    char          setting[128], error[APP_ERROR_MAX];

    test_database_open(&w->db);
    app_init(&w->app);
    snprintf(setting, sizeof(setting), "state=%s", w->db.dir);
    assert_true(config_set(&w->app.config, setting, error, sizeof(error)));
    w->app.service = w->db.service;
    w->control = control_start(&w->app, error);
    if (w->control == NULL)
        fail_msg("%s", error);
    *state = w;
    return 0;
}

static int
teardown(void **state)
{
    struct world *w = *state;
    control_stop(w->control);
    app_clear(&w->app);
    test_database_close(&w->db);
    free(w);
    return 0;
}

/* Runs it through the socket; *out is what came, to be freed. */
static int
call(struct world *w, const char *input, char **out, int argc, ...)
{
    char   *argv[16] = { NULL }, error[APP_ERROR_MAX] = "";
    size_t  len;
    int     code = -1;
    va_list args;

    va_start(args, argc);
    for (int i = 0; i < argc; i++)
        argv[i] = va_arg(args, char *);
    va_end(args);

    *out = NULL;
    FILE *file = open_memstream(out, &len);
    struct command_io io = { .out = file, .err = file, .input = input };
    enum control_call called = control_call(&w->app, argc, argv, &io, &code, error);
    fclose(file);
    if (called != CONTROL_DONE)
        fail_msg("%s", error);
    return code;
}

static void
a_command_runs_in_the_daemon(void **state)
{
    struct world *w = *state;
    char         *out;

    assert_int_equal(call(w, NULL, &out, 5, "user", "create", "Boss@Example.com", "--role", "admin"), COMMAND_OK);
    assert_non_null(strstr(out, "boss@example.com\n"));
    assert_non_null(strstr(out, "shown only now: "));
    free(out);
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM staff WHERE email = 'boss@example.com'"), 1);

    /* A given password is not repeated. */
    assert_int_equal(call(w, "correct horse battery", &out, 6, "user", "create", "fin@example.com", "--role",
                          "finance", "--password-stdin"),
                     COMMAND_OK);
    assert_null(strstr(out, "correct"));
    assert_null(strstr(out, "shown"));
    free(out);

    assert_int_equal(call(w, NULL, &out, 6, "token", "create", "--user", "boss@example.com", "--name", "ci"),
                     COMMAND_OK);
    assert_int_equal(strspn(out, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"), strlen(out) - 1);
    assert_int_equal(test_int(w->db.pool, "SELECT count(*) AS n FROM staff_tokens"), 1);
    free(out);

    assert_int_equal(call(w, NULL, &out, 5, "user", "create", "boss@example.com", "--role", "king"), COMMAND_FAILED);
    assert_non_null(strstr(out, "role"));
    free(out);
    assert_int_equal(call(w, NULL, &out, 2, "user", "delete"), COMMAND_USAGE);
    free(out);
}

/* The key alone, to be read by a script; what was asked for and nothing else; nothing of a request that is not understood. */
static void
api_users_are_made(void **state)
{
    struct world *w = *state;
    char         *out;
    json_t       *user;

    assert_int_equal(call(w, NULL, &out, 8, "api-user", "create", "--name", "Shop", "--role", "advertiser", "--scopes",
                          "conversions:write,leads:read"),
                     COMMAND_OK);
    assert_int_equal(strncmp(out, "aff_live_", 9), 0);
    assert_int_equal(strlen(out), 9 + 43 + 1);
    free(out);
    assert_int_equal(test_int(w->db.pool, "SELECT COUNT(*) AS n FROM api_users WHERE name = 'Shop' AND role = 'advertiser'"
                                          " AND scopes = '[\"conversions:write\",\"leads:read\"]' AND whitelist = 0"),
                     1);

    assert_int_equal(call(w, NULL, &out, 15, "api-user", "create", "--name", "Media", "--role", "affiliate", "--account", "cpa",
                          "--networks", "192.0.2.0/24,2001:db8::7", "--rate", "60", "--test", "--json", "--autologin"),
                     COMMAND_OK);
    user = json_loads(out, 0, NULL);
    assert_int_equal(strlen(json_string_value(json_object_get(user, "secret"))), 9 + 43);
    assert_string_equal(json_string_value(json_object_get(user, "effective_state")), "unassigned");
    json_decref(user);
    free(out);
    assert_int_equal(test_int(w->db.pool, "SELECT COUNT(*) AS n FROM api_users WHERE whitelist = 1 AND rate_minute = 60"
                                          " AND test = 1 AND autologin = 1 AND account = 'cpa'"
                                          " AND ranges = '[\"192.0.2.0/24\",\"2001:db8::7\"]'"),
                     1);

    assert_int_equal(call(w, NULL, &out, 6, "api-user", "create", "--name", "Media", "--role", "king"), COMMAND_FAILED);
    assert_non_null(strstr(out, "role"));
    free(out);
    assert_int_equal(call(w, NULL, &out, 8, "api-user", "create", "--name", "X", "--role", "affiliate", "--rate", "many"),
                     COMMAND_FAILED);
    assert_non_null(strstr(out, "rate_per_minute"));
    free(out);
    assert_int_equal(call(w, NULL, &out, 7, "api-user", "create", "--name", "X", "--role", "affiliate", "--scope"),
                     COMMAND_USAGE);
    free(out);
    assert_int_equal(call(w, NULL, &out, 5, "api-user", "create", "--role", "affiliate", "--name"), COMMAND_USAGE);
    free(out);
    assert_int_equal(test_int(w->db.pool, "SELECT COUNT(*) AS n FROM api_users"), 2);
}

static void
only_writing_commands_are_run(void **state)
{
    struct world *w = *state;
    char         *out;

    assert_int_equal(call(w, NULL, &out, 2, "stats", "--json"), COMMAND_USAGE);
    free(out);
    assert_int_equal(call(w, NULL, &out, 2, "keygen", "/tmp/never"), COMMAND_USAGE);
    free(out);
    assert_int_equal(call(w, NULL, &out, 1, "nonsense"), COMMAND_USAGE);
    free(out);
    assert_int_equal(access("/tmp/never", F_OK), -1);
}

static int
connect_raw(struct world *w)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/affiliated.control", w->db.dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *) &address, sizeof(address)), 0);
    return fd;
}

static void
nonsense_ends_nothing(void **state)
{
    struct world     *w = *state;
    static const char *requests[] = {
        "\n", "{}\n", "[]\n", "{\"argv\":[]}\n", "{\"argv\":[1]}\n", "{\"argv\":\"user\"}\n", "{\"argv\":[null]}\n",
        "\xff\xfe\n", "{\"argv\":[\"user\",\"create\"],\"input\":7}\n", "unfinished",
    };
    char answer[256], *out;

    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        int fd = connect_raw(w);
        assert_int_equal(write(fd, requests[i], strlen(requests[i])), (ssize_t) strlen(requests[i]));
        shutdown(fd, SHUT_WR);
        while (read(fd, answer, sizeof(answer)) > 0)
            ;
        close(fd);
    }

    /* Longer than any request: heard no further than the bound. */
    int   fd = connect_raw(w);
    char *flood = malloc(1 << 20);
    memset(flood, 'x', 1 << 20);
    ssize_t sent = send(fd, flood, 1 << 20, MSG_NOSIGNAL);
    (void) sent;
    free(flood);
    close(fd);
    assert_int_equal(call(w, NULL, &out, 1, "migrate"), COMMAND_OK);
    free(out);
}

static void
other_users_are_not_heard(void **state)
{
    struct world *w = *state;
    struct stat   st;
    char          path[128], answer[16];

    snprintf(path, sizeof(path), "%s/affiliated.control", w->db.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    if (geteuid() != 0) {
        print_message("# not root: only the socket's mode is looked at\n");
        return;
    }

    /* As if the mode were wrong: connected, yet not heard. */
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(chmod(w->db.dir, 0755), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (setgid(65534) != 0 || setuid(65534) != 0)
            _exit(3);
        int fd = connect_raw(w);
        static const char request[] = "{\"argv\":[\"migrate\"]}\n";
        if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
            _exit(0);
        _exit(read(fd, answer, sizeof(answer)) > 0 ? 1 : 0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int
main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_configuration_is_read),
        cmocka_unit_test(a_bad_configuration_is_named),
        cmocka_unit_test(mails_go_where_they_are_told),
        cmocka_unit_test_setup_teardown(a_command_runs_in_the_daemon, setup, teardown),
        cmocka_unit_test_setup_teardown(api_users_are_made, setup, teardown),
        cmocka_unit_test_setup_teardown(only_writing_commands_are_run, setup, teardown),
        cmocka_unit_test_setup_teardown(nonsense_ends_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(other_users_are_not_heard, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
