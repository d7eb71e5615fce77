/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/strict.h"
