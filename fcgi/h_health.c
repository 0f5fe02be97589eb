/*
 * GET /health, /healthz: the process answers.  Touches nothing else, so that
 * it says so whatever state the database or CPA is in.
 */
#include "fcgi/response.h"
#include "fcgi/routes.h"
#include "fcgi/service.h"

int
health_get(
    struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	struct json_out *o = response_json(rs, 200);

	(void)c;
	(void)rq;
	(void)e;
	json_out_object(o);
	json_out_kbool(o, "ok", true);
	json_out_kz(o, "service", SERVICE_ID);
	json_out_object_end(o);
	(void)json_out_done(o);
	return 0;
}
