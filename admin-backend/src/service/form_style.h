/* form_style.h - how a form looks: one sheet, with the theme's values in it. */
#ifndef AFFILIATED_SERVICE_FORM_STYLE_H
#define AFFILIATED_SERVICE_FORM_STYLE_H

#include <jansson.h>

#include "service/html.h"

/* Nothing of a theme is written that was not read as a number first. */
void form_style(struct html *html, const json_t *theme);

#endif
