/*
 * The attributes that headers use to state a contract to the compiler.
 */
#ifndef ATTR_H
#define ATTR_H

#define ATTR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define ATTR_NONNULL __attribute__((nonnull))
#define ATTR_USE_RESULT __attribute__((warn_unused_result))

#endif
