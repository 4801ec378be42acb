#include "service/kind.h"

#include <string.h>

static enum service_result create(struct db *db, struct decision *decision, struct service_error *error);
static enum service_result edit(struct db *db, struct decision *decision, struct service_error *error);
static enum service_result alter(struct db *db, struct decision *decision, struct service_error *error);

static struct change
change_begin(const struct kind *kind, const struct service *service, const struct actor *actor, int64_t id,
             const char *action, void *ctx)
{
    return (struct change){
        .decision = { .service = service,
                      .actor = actor,
                      .spec = kind->list,
                      .object_type = kind->object,
                      .action = action,
                      .id = id,
                      .config = !kind->local },
        .kind = kind,
        .ctx = ctx,
    };
}

static enum service_result
submit(struct change *change, const json_t *body, json_t **object, struct service_error *error)
{
    const struct field *fields = change->kind->fields;
    enum service_result result = fields_read(body, fields, change->decision.id == 0, change->values, error);

    change->decision.ctx = change;
    if (result == SERVICE_OK)
        result = decide(&change->decision, object, error);
    fields_free(fields, change->values);
    return result;
}

enum service_result
kind_create(const struct kind *kind, const struct service *service, const struct actor *actor, const json_t *body,
            void *ctx, json_t **object, struct service_error *error)
{
    struct change change = change_begin(kind, service, actor, 0, kind->create, ctx);

    change.decision.step = create;
    return submit(&change, body, object, error);
}

enum service_result
kind_edit(const struct kind *kind, const struct service *service, const struct actor *actor, int64_t id,
          int64_t if_version, const json_t *patch, void *ctx, json_t **object, struct service_error *error)
{
    struct change change = change_begin(kind, service, actor, id, kind->edit, ctx);

    change.if_version = if_version;
    change.decision.step = edit;
    return submit(&change, patch, object, error);
}

enum service_result
kind_alter(const struct kind *kind, const struct service *service, const struct actor *actor, int64_t id,
           const char *action, const char *reason, kind_step step, void *ctx, json_t **object,
           struct service_error *error)
{
    struct change change = change_begin(kind, service, actor, id, action, ctx);

    change.alter = step;
    change.decision.reason = reason;
    change.decision.step = alter;
    change.decision.ctx = &change;
    return decide(&change.decision, object, error);
}

enum service_result
kind_reference(struct db *db, enum catalog_table table, int64_t id, int64_t program_id, const char *field,
               struct service_error *error)
{
    int64_t        found;
    enum db_result rc = catalog_program_of(db, table, id, &found);

    if (rc != DB_OK)
        return service_from_db(error, rc, "catalog_program_of");
    return found == program_id ? SERVICE_OK : service_invalid(error, field, "names nothing that exists");
}

/* ---- steps ---- */

static enum service_result
stored(const struct kind *kind, enum db_result rc, struct service_error *error)
{
    if (rc == DB_CONFLICT && kind->duplicate != NULL)
        return service_refuse(error, SERVICE_CONFLICT, "duplicate", "Another %s has this %s.", kind->name,
                              kind->duplicate);
    return rc == DB_OK ? SERVICE_OK : service_from_db(error, rc, kind->name);
}

static enum service_result
run(kind_step step, struct db *db, struct change *change, struct service_error *error)
{
    return step == NULL ? SERVICE_OK : step(db, change, error);
}

/* Every new row belongs to the first program, until somebody needs a second one. */
static enum service_result
join_program(struct db *db, struct change *change, struct service_error *error)
{
    int64_t        id = 0;
    enum db_result rc = change->kind->program == 0 ? DB_ROW : program_first(db, &id);

    if (rc != DB_ROW)
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, "program_first");
    if (change->kind->program != 0)
        *(int64_t *) (void *) ((char *) &change->row + change->kind->program) = id;
    return SERVICE_OK;
}

static enum service_result
create(struct db *db, struct decision *decision, struct service_error *error)
{
    struct change      *change = decision->ctx;
    const struct kind  *kind = change->kind;
    enum service_result result;

    memset(&change->was, 0, sizeof(change->was));
    memcpy(&change->row, kind->initial, kind->table->size);
    change->row.head = (struct row_head){ 0, kind->local ? 1 : decision->version };
    result = join_program(db, change, error);
    if (result == SERVICE_OK) {
        fields_overlay(kind->fields, change->values, &change->row);
        result = run(kind->check, db, change, error);
    }
    if (result == SERVICE_OK)
        result = stored(kind, row_insert(db, kind->table, &change->row, decision->at_us), error);
    decision->id = change->row.head.id;
    return result == SERVICE_OK ? run(kind->written, db, change, error) : result;
}

static enum service_result
load(struct db *db, struct change *change, struct service_error *error)
{
    const struct decision *decision = &change->decision;
    enum db_result         rc = row_load(db, change->kind->table, decision->id, &change->was);

    if (rc != DB_ROW) /* the frame has seen the object in this very transaction */
        return service_from_db(error, rc == DB_DONE ? DB_FAILED : rc, change->kind->name);
    change->row = change->was;
    change->row.head.version = change->kind->local ? change->was.head.version + 1 : decision->version;
    return SERVICE_OK;
}

static enum service_result
update(struct db *db, struct change *change, struct service_error *error)
{
    return stored(change->kind, row_update(db, change->kind->table, &change->row, change->decision.at_us), error);
}

static enum service_result
edit(struct db *db, struct decision *decision, struct service_error *error)
{
    struct change      *change = decision->ctx;
    const struct kind  *kind = change->kind;
    enum service_result result = load(db, change, error);

    if (result != SERVICE_OK)
        return result;
    fields_overlay(kind->fields, change->values, &change->row);
    if (change->if_version != 0 && change->if_version != change->was.head.version)
        result = service_refuse(error, SERVICE_STALE, "stale", "The %s was changed by somebody else meanwhile.",
                                kind->name);
    if (result == SERVICE_OK)
        result = run(kind->check, db, change, error);
    if (result == SERVICE_OK)
        result = update(db, change, error);
    if (result == SERVICE_OK)
        result = run(kind->written, db, change, error);
    row_free(kind->table, &change->was);
    return result;
}

static enum service_result
alter(struct db *db, struct decision *decision, struct service_error *error)
{
    struct change      *change = decision->ctx;
    enum service_result result = load(db, change, error);

    if (result != SERVICE_OK)
        return result;
    result = change->alter(db, change, error);
    if (result == SERVICE_OK)
        result = update(db, change, error);
    if (result == SERVICE_OK)
        result = run(change->kind->written, db, change, error);
    row_free(change->kind->table, &change->was);
    return result;
}
