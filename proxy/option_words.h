/* SPDX-License-Identifier: MIT */
#ifndef PROXY_OPTION_WORDS_H
#define PROXY_OPTION_WORDS_H

/*
 * Words that are no options.
 */

#include <stdbool.h>

#include "proxy/options.h"

/* Takes note of `word`, which main() owns.  Returns false where the command
 * takes no such word, or none any more. */
bool option_words_take(struct options *options, const char *word);

#endif
