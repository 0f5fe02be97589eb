/*
 * What we call ourselves.
 */
#ifndef SERVICE_H
#define SERVICE_H

/* Panels look for this id; it is the reference's. */
#define SERVICE_ID "cpa-manager-plus"
/* And this is us. */
#define IMPLEMENTATION_ID "cpa-manager-c"

#endif
