/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_STRICT_H
#define FUZZ_STRICT_H
#endif
