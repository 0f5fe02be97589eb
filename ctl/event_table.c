/*
 * The table of cpactl events: as wide as the terminal.
 */
#include <inttypes.h>
#include <limits.h>
#include <locale.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "ctl/event_put.h"

#define NARROW_BELOW 110 /* columns of a terminal */
#define TEXT_LEAST 8     /* of model and account */
#define TEXT_MOST 40

static const struct {
	const char *name;
	int wide, narrow; /* 0: left out */
	bool right;
} columns[] = {
	[COL_TIME] = { "local time", 19, 14, false },
	[COL_MODEL] = { "model", 24, 17, false },
	[COL_PROVIDER] = { "provider", 10, 0, false },
	[COL_ACCOUNT] = { "account", 26, 17, false },
	[COL_INPUT] = { "input", 9, 7, true },
	[COL_OUTPUT] = { "output", 8, 6, true },
	[COL_MS] = { "ms", 7, 6, true },
	[COL_OUTCOME] = { "outcome", 10, 7, false },
};

/* ---- widths -------------------------------------------------------------- */

static int
within(int n, int least, int most)
{
	return n < least ? least : n > most ? most : n;
}

/* Columns of the terminal; INT_MAX when the output goes elsewhere. */
static int
terminal_columns(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == -1 || size.ws_col == 0)
		return INT_MAX;
	return size.ws_col;
}

/* What is over or wanting goes to the model and the account. */
static void
lay_out(struct event_put *p)
{
	int *w = p->width, terminal = terminal_columns(), rest = terminal;

	p->narrow = terminal < NARROW_BELOW;
	for (int i = 0; i < TABLE_COLUMNS; i++) {
		w[i] = p->narrow ? columns[i].narrow : columns[i].wide;
		if (w[i] > 0)
			rest -= w[i];
		if (w[i] > 0 && i != COL_OUTCOME)
			rest -= p->narrow ? 1 : 2;
	}
	if (terminal == INT_MAX)
		return;
	w[COL_MODEL] = within(w[COL_MODEL] + rest / 2, TEXT_LEAST, TEXT_MOST);
	w[COL_ACCOUNT] =
	    within(w[COL_ACCOUNT] + rest - rest / 2, TEXT_LEAST, TEXT_MOST);
}

/* How many columns a terminal takes for a character. */
static int
width_of(uint32_t code)
{
	int n = ctl_steers(code) ? 1 : wcwidth((wchar_t)code);

	return n < 0 ? 1 : n;
}

/* As much of s as fits into `most` columns; *width of them. */
static struct str
cut(struct str s, int most, int *width)
{
	size_t at = 0;

	*width = 0;
	while (at < s.n) {
		uint32_t code = '?';
		int n = utf8_next((struct str){ s.p + at, s.n - at }, &code);
		int w = n < 1 ? 1 : width_of(code);

		if (*width + w > most)
			break;
		*width += w;
		at += n < 1 ? 1 : (size_t)n;
	}
	return (struct str){ s.p, at };
}

/* ---- rows ---------------------------------------------------------------- */

static void
put_cell(const struct event_put *p, enum table_column c, struct str s)
{
	int room = p->width[c], width;
	struct str shown = cut(s, room, &width);
	bool is_cut = shown.n < s.n;

	if (room == 0)
		return;
	if (is_cut) {
		shown = cut(s, room - 1, &width);
		width++;
	}
	if (columns[c].right)
		printf("%*s", room - width, "");
	ctl_put_str(stdout, shown);
	if (is_cut)
		fputs("\u2026", stdout); /* an ellipsis */
	if (c == COL_OUTCOME)
		putchar('\n');
	else
		printf("%*s",
		    (columns[c].right ? 0 : room - width) + (p->narrow ? 1 : 2),
		    "");
}

/* A number is never cut: it would be another one. */
static void
put_number(const struct event_put *p, enum table_column c, int64_t n)
{
	printf("%*" PRId64 "%s", p->width[c], n, p->narrow ? " " : "  ");
}

static void
put_time(const struct event_put *p, int64_t ms)
{
	const size_t year = p->narrow ? strlen("2026-") : 0;
	time_t t = (time_t)(ms / 1000);
	struct tm tm;
	char text[40];

	if (localtime_r(&t, &tm) != NULL &&
	    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm) > year)
		put_cell(p, COL_TIME, str_of(text + year));
	else
		put_number(p, COL_TIME, ms);
}

static void
put_outcome(const struct event_put *p, const struct usage_event *ev)
{
	char text[40] = "failed";

	if ((ev->flags & EVENT_FAILED) == 0)
		(void)snprintf(text, sizeof text, "ok");
	else if (ev->fail_status_code.set)
		(void)snprintf(text, sizeof text, "%s%" PRId64,
		    p->narrow ? "" : "failed ", ev->fail_status_code.v);
	put_cell(p, COL_OUTCOME, str_of(text));
}

void
event_put_table_heading(struct event_put *p)
{
	/* for wcwidth(); what we write is UTF-8 wherever we are */
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	lay_out(p);
	for (int i = 0; i < TABLE_COLUMNS; i++)
		put_cell(p, (enum table_column)i, str_of(columns[i].name));
}

void
event_put_table(struct event_put *p, const struct usage_event *ev)
{
	struct str account =
	    first_of(ev->account_snapshot, ev->auth_label_snapshot, ev->source);
	struct normalized_tokens t;

	event_normalized_tokens(ev, &t);
	put_time(p, ev->ts_ms);
	put_cell(p, COL_MODEL, ev->model);
	put_cell(p, COL_PROVIDER,
	    first_of(ev->auth_provider_snapshot, ev->provider, STR("-")));
	put_cell(p, COL_ACCOUNT, first_of(account, ev->auth_index, STR("-")));
	put_number(p, COL_INPUT, t.total_input);
	put_number(p, COL_OUTPUT, ev->output_tokens);
	if (ev->latency_ms.set)
		put_number(p, COL_MS, ev->latency_ms.v);
	else
		put_cell(p, COL_MS, STR("-"));
	put_outcome(p, ev);
}
