/*
 * The time of day and the time that only goes forward, behind a hook for
 * tests.  Everything that stores or compares times asks here.
 *
 * A whole-stack test moves the clock of running programs by naming a file in
 * CPA_MANAGER_TEST_CLOCK; it holds a number of milliseconds to add to the
 * time of day, and is looked at again every 100 ms.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

/* Unix time in milliseconds. */
int64_t clock_now_ms(void);

/* Milliseconds and nanoseconds since some fixed point; never goes back. */
int64_t clock_mono_ms(void);
int64_t clock_mono_ns(void);

/* Unit tests: answer clock_now_ms() from fn until fn is NULL again. */
void clock_set_source(int64_t (*fn)(void));

#endif
