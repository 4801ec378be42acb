/*
 * server.h - the HTTP API on a unix socket, behind nginx.
 */
#ifndef AFFILIATED_HTTP_SERVER_H
#define AFFILIATED_HTTP_SERVER_H

#include "service/service.h"

struct http_server;

struct http_options {
    const char           *socket_path; /* made with mode 0660; a stale one is replaced */
    const struct service *service;     /* borrowed; outlives the server */
    /* True when the daemon can do its work (ingest hears Redis): /readyz. May be NULL. */
    bool (*ready)(void *ctx);
    void *ready_ctx;
};

/* NULL: *error is malloc'ed and says why. */
struct http_server *http_start(const struct http_options *options, char **error);
/* Takes nobody new, answers what is under way (for 10 s at most), then closes. */
void http_stop(struct http_server *server);

/* The route table as JSON: [{"method","path","roles":[...]},...]; for docs and tests. New reference. */
json_t *http_routes(void);

#endif
