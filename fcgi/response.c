/*
 * Building and sending answers in the form that CGI asks for: header lines,
 * an empty line, the body.
 */
#include "fcgi/response.h"

#include <string.h>

static const char *
reason(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 202:
		return "Accepted";
	case 204:
		return "No Content";
	case 307:
		return "Temporary Redirect";
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 409:
		return "Conflict";
	case 412:
		return "Precondition Failed";
	case 413:
		return "Content Too Large";
	case 429:
		return "Too Many Requests";
	case 431:
		return "Request Header Fields Too Large";
	case 500:
		return "Internal Server Error";
	case 502:
		return "Bad Gateway";
	case 503:
		return "Service Unavailable";
	default:
		return "Status";
	}
}

void
response_init(struct response *rs, struct buf *head, struct buf *body,
    response_write *write, void *to, bool head_only, const char *request_id)
{
	*rs = (struct response){
		.write = write,
		.to = to,
		.head = head,
		.body = body,
		.head_only = head_only,
		.request_id = request_id,
		.status = 200,
	};
	buf_clear(head);
	buf_clear(body);
}

void
response_restart(struct response *rs)
{
	if (rs->head_sent)
		return;
	buf_clear(rs->head);
	buf_clear(rs->body);
	rs->status = 200;
	rs->type = NULL;
}

void
response_header(struct response *rs, const char *name, const char *value)
{
	if (strpbrk(value, "\r\n") != NULL || rs->head_sent)
		return;
	buf_printf(rs->head, "%s: %s\r\n", name, value);
}

/*
 * length < 0: not known.  A HEAD answer has the headers of the GET, so its
 * length is that of the body that is not sent.
 */
static int
send_head(struct response *rs, int64_t length)
{
	struct buf *h = rs->head;
	struct str view;

	buf_printf(h, "X-Request-Id: %s\r\n", rs->request_id);
	buf_z(h, "Cache-Control: no-store\r\n"
		 "X-Content-Type-Options: nosniff\r\n");
	if (rs->type != NULL)
		buf_printf(h, "Content-Type: %s\r\n", rs->type);
	if (length >= 0 && rs->status != 204)
		buf_printf(h, "Content-Length: %lld\r\n", (long long)length);
	buf_printf(h, "Status: %d %s\r\n\r\n", rs->status, reason(rs->status));
	view = buf_view(h);
	rs->head_sent = true;
	if (h->failed || rs->write(rs->to, view.p, view.n) != 0)
		rs->gone = rs->broken = true;
	return rs->gone ? -1 : 0;
}

static int
send_body(struct response *rs)
{
	struct str view = buf_view(rs->body);

	if (rs->gone)
		return -1;
	if (view.n > 0 && !rs->head_only) {
		if (rs->write(rs->to, view.p, view.n) != 0) {
			rs->gone = rs->broken = true;
			return -1;
		}
		rs->sent_bytes += (int64_t)view.n;
	}
	buf_clear(rs->body);
	return 0;
}

struct json_out *
response_json(struct response *rs, int status)
{
	rs->status = status;
	rs->type = "application/json";
	buf_clear(rs->body);
	json_out_init(&rs->json, rs->body, NULL, NULL);
	return &rs->json;
}

struct json_out *
response_stream(struct response *rs)
{
	return response_json(rs, 200);
}

void
response_lines(struct response *rs, const char *type)
{
	rs->status = 200;
	rs->type = type;
	buf_clear(rs->body);
}

void
response_break(struct response *rs)
{
	/* before the head is out there is still room for an error */
	if (rs->head_sent)
		rs->gone = rs->broken = true;
}

int
response_flush(struct response *rs)
{
	if (rs->body->failed) {
		response_break(rs);
		return -1;
	}
	if (!rs->head_sent && send_head(rs, -1) != 0)
		return -1;
	/* the answer to HEAD is complete with its head */
	if (rs->head_only) {
		rs->gone = true;
		return -1;
	}
	return send_body(rs);
}

void
response_text(struct response *rs, int status, const char *text)
{
	rs->status = status;
	rs->type = "text/plain; charset=utf-8";
	buf_clear(rs->body);
	buf_z(rs->body, text);
}

void
response_error(struct response *rs, const struct err *e)
{
	struct json_out *o = response_json(rs, err_status(e->kind));

	json_out_object(o);
	json_out_kz(o, "code", err_code(e));
	json_out_key(o, "error");
	if (e->kind == ERR_INTERNAL)
		json_out_z(o,
		    "internal error; the log has it under this answer's "
		    "X-Request-Id");
	else
		json_out_z(o, e->text);
	json_out_object_end(o);
	(void)json_out_done(o);
}

int
response_finish(struct response *rs)
{
	static const struct err too_large = { .kind = ERR_UNAVAILABLE,
		.text = "the answer is too large; ask for less" };
	int rc = 0;

	if (rs->head_sent)
		return send_body(rs);
	if (rs->body->failed || rs->head->failed) {
		response_restart(rs);
		response_error(rs, &too_large);
		rc = -1;
	}
	if (send_head(rs, (int64_t)rs->body->n) != 0)
		return -1;
	return send_body(rs) != 0 ? -1 : rc;
}
