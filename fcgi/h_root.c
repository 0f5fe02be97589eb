/*
 * The paths that people type, and those that nobody knows.
 */
#include "fcgi/response.h"
#include "fcgi/routes.h"

/* / : on to the page. */
int
root_any(struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	(void)c;
	(void)e;
	if (rq->method == METHOD_GET || rq->method == METHOD_HEAD) {
		response_text(rs, 307,
		    "<a href=\"/management.html\">Temporary Redirect</a>.\n\n");
		rs->type = "text/html; charset=utf-8";
	} else
		rs->status = 307;
	response_header(rs, "Location", "/management.html");
	return 0;
}

/* /management.html is a file that the web server serves; it did not. */
int
panel_any(struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	(void)c;
	(void)rq;
	(void)e;
	response_text(rs, 404,
	    "The web server should serve management.html from disk and not "
	    "ask the\napplication for it; see the examples in conf/.\n");
	return 0;
}

/* A path below /v0/management/ that is not ours. */
int
unknown_any(
    struct ctx *c, struct request *rq, struct response *rs, struct err *e)
{
	(void)c;
	(void)rq;
	(void)e;
	response_text(rs, 404, "404 page not found\n");
	return 0;
}
