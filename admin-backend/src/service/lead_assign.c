#include "service/lead_assign.h"

#include <stdlib.h>

#include "store/assign.h"

#define US_PER_DAY UINT64_C(86400000000)

/*
 * Everybody's current grows by his weight; the largest one takes the lead and pays with the sum of all weights.  Who is
 * at his cap stands still, and so has no backlog to make good tomorrow.
 */
static enum db_result
take_turns(struct db *db, int64_t department_id, struct assign_member *members, size_t count, int64_t *agent_id)
{
    struct assign_member *next = NULL;
    int64_t               sum = 0;
    enum db_result        rc = DB_OK;

    for (size_t i = 0; i < count; i++) {
        if (members[i].cap_day != 0 && members[i].today >= members[i].cap_day)
            continue;
        members[i].current += members[i].weight;
        sum += members[i].weight;
        if (next == NULL || members[i].current > next->current)
            next = &members[i];
    }
    *agent_id = next == NULL ? 0 : next->staff_id;
    if (next != NULL)
        next->current -= sum;
    for (size_t i = 0; next != NULL && rc == DB_OK && i < count; i++)
        rc = assign_turn(db, department_id, members[i].staff_id, members[i].current);
    return rc;
}

static enum db_result
assign_in_turn(struct db *db, int64_t department_id, uint64_t arrived_us, int64_t *agent_id)
{
    uint64_t              day_us = arrived_us / US_PER_DAY * US_PER_DAY;
    struct assign_member *members;
    size_t                count;
    enum db_result        rc = assign_members(db, department_id, day_us, day_us + US_PER_DAY, &members, &count);

    if (rc == DB_OK)
        rc = take_turns(db, department_id, members, count, agent_id);
    free(members);
    return rc;
}

enum db_result
lead_assign(struct db *db, struct lead_row *lead, uint64_t arrived_us)
{
    int64_t        department_id = 0, source_agent_id = 0, agent_id = 0;
    enum db_result rc = DB_OK;

    if (lead->source_id != 0)
        rc = assign_of_source(db, lead->source_id, &department_id, &source_agent_id);
    if (rc == DB_OK && lead->affiliate_id != 0)
        rc = assign_agent_of_affiliate(db, lead->affiliate_id, &agent_id);
    if (agent_id == 0)
        agent_id = source_agent_id;
    if (rc == DB_OK && agent_id == 0 && department_id != 0)
        rc = assign_in_turn(db, department_id, arrived_us, &agent_id);
    if (rc == DB_OK && agent_id != 0 && department_id == 0)
        rc = assign_department_of(db, agent_id, &department_id);
    lead->agent_id = agent_id;
    lead->department_id = department_id;
    return rc;
}
