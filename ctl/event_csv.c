/*
 * CSV of cpactl events, as RFC 4180 has it.
 */
#include <inttypes.h>
#include <string.h>

#include "ctl/event_put.h"

void
event_put_csv_heading(void)
{
	fputs("timestamp,request_id,model,resolved_model,provider,account,"
	      "auth_index,api_key_hash,endpoint,input_tokens,output_tokens,"
	      "reasoning_tokens,total_tokens,cache_read_tokens,"
	      "cache_creation_tokens,latency_ms,ttft_ms,failed,"
	      "fail_status_code,fail_summary\r\n",
	    stdout);
}

static void
put_text(const struct event_put *p, struct str s)
{
	putchar('"');
	/* a sheet must not take a text for a formula */
	if (s.n > 1 && strchr("=+-@\t\r\n", *s.p) != NULL)
		putchar('\'');
	while (s.n > 0) {
		const char *quote = memchr(s.p, '"', s.n);
		size_t n = quote != NULL ? (size_t)(quote - s.p) : s.n;

		if (p->terminal)
			ctl_put_str(stdout, (struct str){ s.p, n });
		else
			fwrite(s.p, 1, n, stdout);
		if (quote != NULL) {
			fputs("\"\"", stdout);
			n++;
		}
		s.p += n;
		s.n -= n;
	}
	putchar('"');
}

static void
put_texts(const struct event_put *p, const struct usage_event *ev)
{
	char hash[API_KEY_HASH_TEXT];
	const struct str texts[] = { ev->ts_text, ev->request_id, ev->model,
		ev->resolved_model,
		first_of(ev->auth_provider_snapshot, ev->provider, STR("")),
		first_of(
		    ev->account_snapshot, ev->auth_label_snapshot, ev->source),
		ev->auth_index, api_key_hash_text(ev, hash), ev->endpoint };

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		put_text(p, texts[i]);
		putchar(',');
	}
}

static void
put_number(struct opt_i64 n)
{
	if (n.set)
		printf("%" PRId64, n.v);
	putchar(',');
}

void
event_put_csv(struct event_put *p, const struct usage_event *ev)
{
	struct normalized_tokens t;

	event_normalized_tokens(ev, &t);
	put_texts(p, ev);
	printf("%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
	       ",%" PRId64 ",",
	    t.total_input, ev->output_tokens, ev->reasoning_tokens,
	    ev->total_tokens, t.cache_read, t.cache_creation);
	put_number(ev->latency_ms);
	put_number(ev->ttft_ms);
	fputs((ev->flags & EVENT_FAILED) != 0 ? "true," : "false,", stdout);
	put_number(ev->fail_status_code);
	put_text(p, ev->fail_summary);
	fputs("\r\n", stdout);
}
