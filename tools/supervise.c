/*
 * supervise STATE NGINX AFFILIATED - keeps the three programs of one state folder running.
 *
 * Started by `build.sh run`.  What dies is started again, at once or, when it
 * lived less than STABLE_MS, after a growing delay.  TERM, INT or HUP ends
 * nginx first, then affiliated, then Redis, then this.
 *
 * - Each program leads a session of its own, so that what a killed leader left
 *   behind (nginx's workers hold the listening socket) is found by its group.
 * - We are their subreaper: those orphans become our children, and are reaped.
 * - Each gets TERM from the kernel when we die, whatever killed us.
 * - run/lock is locked and the lock inherited: while anything of this state
 *   lives, no second run starts on it.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORKER       "www-data" /* as root, all but nginx's master run as this user */
#define STABLE_MS    5000       /* who lived longer is restarted at once */
#define DELAY_MAX_MS 5000
#define LOCK_WAIT_MS 10000      /* what a killed predecessor left behind ends within this */
#define GROUP_MS     5000       /* from TERM to KILL for leftovers */

struct program {
    const char *name;
    const char *argv[12];
    int         stop_signal;
    int         stop_ms; /* from the stop signal to KILL */
    bool        as_worker;
    bool        speaks;       /* its standard output is for people and no log: run/<name>.out, anew at each start */
    bool        own_pid_file; /* nginx writes run/nginx.pid itself, once it serves */
    pid_t       pid;          /* 0: waits for its start */
    pid_t       group;
    uint64_t    started_ms, due_ms;
    uint32_t    delay_ms;
};

static const char *state;
static char        redis_conf[128], affiliated_conf[128], nginx_conf[128], nginx_log[128];

static struct program programs[] = {
    { .name = "redis", .argv = { "redis-server", redis_conf },
      .stop_signal = SIGTERM, .stop_ms = 10000, .as_worker = true },
    { .name = "affiliated", .argv = { NULL, "-c", affiliated_conf },
      .stop_signal = SIGTERM, .stop_ms = 30000, .as_worker = true, .speaks = true },
    { .name = "nginx", .argv = { NULL, "-p", NULL, "-c", nginx_conf, "-e", nginx_log, "-g", "daemon off;" },
      .stop_signal = SIGQUIT, .stop_ms = 10000, .own_pid_file = true },
};
#define PROGRAMS (sizeof(programs) / sizeof(programs[0]))
#define NGINX    (&programs[PROGRAMS - 1])

static void     take_lock(void);
static void     start_due(void);
static void     start(struct program *program);
static void     become(struct program *program, pid_t parent) __attribute__((noreturn));
static void     redirect(int fd, const char *path, int flags);
static void     drop_privileges(void);
static void     reap(void);
static void     died(struct program *program, int status);
static void     stop_all(void);
static void     stop(struct program *program);
static bool     wait_for(pid_t pid, int wait_ms);
static void     end_group(pid_t group);
static int      next_event(void);
static void     write_pid(const char *name, pid_t pid);
static void     say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void     fail(const char *what) __attribute__((noreturn));
static uint64_t now_ms(void);

int
main(int argc, char **argv)
{
    sigset_t set;
    int      signo;

    if (argc != 4 || argv[1][0] != '/' || strlen(argv[1]) > 100) {
        fprintf(stderr, "usage: supervise STATE NGINX AFFILIATED\n");
        return 2;
    }
    state = argv[1];
    NGINX->argv[0] = argv[2];
    NGINX->argv[2] = state;
    programs[1].argv[0] = argv[3];
    snprintf(redis_conf, sizeof(redis_conf), "%s/etc/redis.conf", state);
    snprintf(affiliated_conf, sizeof(affiliated_conf), "%s/etc/affiliated.conf", state);
    snprintf(nginx_conf, sizeof(nginx_conf), "%s/etc/nginx.conf", state);
    snprintf(nginx_log, sizeof(nginx_log), "%s/log/nginx.log", state);

    umask(027);
    if (chdir(state) != 0) {
        fail(state);
    }
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
        fail("prctl");
    }
    take_lock();
    write_pid("supervisor", getpid());

    for (;;) {
        reap();
        start_due();
        signo = next_event();
        if (signo != SIGCHLD && signo != 0) {
            stop_all();
            return 0;
        }
    }
}

static void
take_lock(void)
{
    uint64_t deadline = now_ms() + LOCK_WAIT_MS;
    int      fd = open("run/lock", O_RDWR | O_CREAT, 0600); /* no O_CLOEXEC: the children hold it too */

    if (fd < 0) {
        fail("run/lock");
    }
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (now_ms() > deadline) {
            fail("run/lock: something of this state still runs");
        }
        usleep(50000);
    }
}

static void
start_due(void)
{
    for (size_t i = 0; i < PROGRAMS; i++) {
        if (programs[i].pid == 0 && programs[i].due_ms <= now_ms()) {
            start(&programs[i]);
        }
    }
}

static void
start(struct program *program)
{
    pid_t parent = getpid(), pid = fork();

    if (pid < 0) {
        say("fork: %s", strerror(errno));
        program->due_ms = now_ms() + DELAY_MAX_MS;
        return;
    }
    if (pid == 0) {
        become(program, parent);
    }
    program->pid = program->group = pid;
    program->started_ms = now_ms();
    if (!program->own_pid_file) {
        write_pid(program->name, pid);
    }
}

/* The child's side. */
static void
become(struct program *program, pid_t parent)
{
    char     path[128];
    sigset_t none;

    setsid();
    redirect(0, "/dev/null", O_RDONLY);
    snprintf(path, sizeof(path), "log/%s.log", program->name);
    redirect(2, path, O_WRONLY | O_CREAT | O_APPEND);
    if (program->speaks) {
        snprintf(path, sizeof(path), "run/%s.out", program->name);
        redirect(1, path, O_WRONLY | O_CREAT | O_TRUNC);
    } else {
        dup2(2, 1);
    }
    if (program->as_worker && geteuid() == 0) {
        drop_privileges();
    }
    /* After the change of user, which clears it. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) {
        _exit(1);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(program->argv[0], (char *const *) program->argv);
    fail(program->argv[0]);
}

static void
redirect(int fd, const char *path, int flags)
{
    int opened = open(path, flags, 0600);

    if (opened < 0) {
        fail(path);
    }
    dup2(opened, fd);
    close(opened);
}

static void
drop_privileges(void)
{
    struct passwd *user = getpwnam(WORKER);

    if (user == NULL || initgroups(WORKER, user->pw_gid) != 0 || setgid(user->pw_gid) != 0
        || setuid(user->pw_uid) != 0) {
        fail("cannot become " WORKER);
    }
}

static void
reap(void)
{
    pid_t pid;
    int   status;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t i = 0; i < PROGRAMS; i++) {
            if (programs[i].pid == pid) {
                died(&programs[i], status);
            }
        }
    }
}

static void
died(struct program *program, int status)
{
    uint64_t now = now_ms();

    say("%s (pid %d) %s %d", program->name, (int) program->pid, WIFSIGNALED(status) ? "killed by signal" : "exited with",
        WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    end_group(program->group);
    if (now - program->started_ms >= STABLE_MS) {
        program->delay_ms = 0;
    } else {
        program->delay_ms = program->delay_ms * 2 + 100;
        if (program->delay_ms > DELAY_MAX_MS) {
            program->delay_ms = DELAY_MAX_MS;
        }
    }
    program->pid = 0;
    program->due_ms = now + program->delay_ms;
}

/* Against the order of starting: who takes requests ends first. */
static void
stop_all(void)
{
    say("stopping");
    for (size_t i = PROGRAMS; i-- > 0;) {
        stop(&programs[i]);
    }
    unlink("run/supervisor.pid");
    say("stopped");
}

static void
stop(struct program *program)
{
    char path[64];

    if (program->pid != 0) {
        kill(program->pid, program->stop_signal);
        if (!wait_for(program->pid, program->stop_ms)) {
            say("%s (pid %d) does not end: killing it", program->name, (int) program->pid);
        }
        end_group(program->group);
    }
    snprintf(path, sizeof(path), "run/%s.pid", program->name);
    unlink(path);
}

static bool
wait_for(pid_t pid, int wait_ms)
{
    uint64_t deadline = now_ms() + (uint64_t) wait_ms;

    while (waitpid(pid, NULL, WNOHANG) == 0) {
        if (now_ms() > deadline) {
            return false;
        }
        usleep(10000);
    }
    return true;
}

static void
end_group(pid_t group)
{
    uint64_t deadline = now_ms() + GROUP_MS;

    while (kill(-group, now_ms() > deadline ? SIGKILL : SIGTERM) == 0) {
        while (waitpid(-group, NULL, WNOHANG) > 0) {
        }
        usleep(10000);
    }
}

/* The next signal, or 0 when a program is due. */
static int
next_event(void)
{
    uint64_t        wait_ms = 60000, now = now_ms();
    struct timespec timeout;
    sigset_t        set;
    int             signo;

    for (size_t i = 0; i < PROGRAMS; i++) {
        if (programs[i].pid == 0) {
            uint64_t left_ms = programs[i].due_ms > now ? programs[i].due_ms - now : 0;

            wait_ms = left_ms < wait_ms ? left_ms : wait_ms;
        }
    }
    timeout.tv_sec = (time_t) (wait_ms / 1000);
    timeout.tv_nsec = (long) (wait_ms % 1000) * 1000000;
    sigprocmask(SIG_BLOCK, NULL, &set);
    signo = sigtimedwait(&set, NULL, &timeout);
    return signo > 0 ? signo : 0;
}

static void
write_pid(const char *name, pid_t pid)
{
    char  path[64];
    FILE *file;

    snprintf(path, sizeof(path), "run/%s.pid", name);
    file = fopen(path, "we");
    if (file == NULL || fprintf(file, "%d\n", (int) pid) < 0 || fclose(file) != 0) {
        say("%s: %s", path, strerror(errno));
    }
}

static void
say(const char *format, ...)
{
    char      time_text[32], text[256];
    time_t    now = time(NULL);
    struct tm utc;
    va_list   args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    strftime(time_text, sizeof(time_text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    fprintf(stderr, "%s %s\n", time_text, text);
}

static void
fail(const char *what)
{
    say("%s: %s", what, strerror(errno));
    _exit(1);
}

/* Monotonic: delays do not follow a changed clock. */
static uint64_t
now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}
