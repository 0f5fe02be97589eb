/*
 * cmocka, beside lib/err.h: both want the name fail().
 */
#ifndef TEST_CMOCKA_H
#define TEST_CMOCKA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail

/* End the test with a message. */
#define FAIL(...) (print_error(__VA_ARGS__), _fail(__FILE__, __LINE__))

#endif
