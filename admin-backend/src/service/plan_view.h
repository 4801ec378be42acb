/* plan_view.h - a commission structure in the API's shape, from a row with PLAN_COLUMNS (store/plan.h). */
#ifndef AFFILIATED_SERVICE_PLAN_VIEW_H
#define AFFILIATED_SERVICE_PLAN_VIEW_H

#include <jansson.h>

#include "db/db.h"

json_t *plan_row_view(struct db_stmt *row);

#endif
