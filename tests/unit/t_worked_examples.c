/*
 * The worked examples of contract/collector.md, appendix A, one a line of
 * tests/data/worked-examples.jsonl: a payload, and the columns it comes to.
 * Event hashes there are reckoned by section 7 from the columns, not by us.
 */
#include "json_in.h"
#include "model/normalise.h"
#include "test_event.h"
#include "test_model.h"

#define NOW_MS INT64_C(1800000000000) /* "now" in the examples */

static json_t *examples;

static const char *
text_of(const json_t *line, const char *key)
{
	const char *text = json_string_value(json_object_get(line, key));

	return text == NULL ? "" : text;
}

static bool
is(const json_t *line, const char *kind)
{
	return strcmp(text_of(line, "kind"), kind) == 0;
}

static unsigned
count_kind(const char *kind)
{
	unsigned n = 0;

	for (size_t i = 0; i < json_array_size(examples); i++)
		n += is(json_array_get(examples, i), kind);
	return n;
}

/* Lines that have a value in a column, or NULL, what they have of their own. */
static unsigned
count_with(const char *part, const char *column)
{
	unsigned n = 0;

	for (size_t i = 0; i < json_array_size(examples); i++)
		n += json_object_get(
			 json_object_get(json_array_get(examples, i), part),
			 column) != NULL;
	return n;
}

static int
compare(const json_t *line, const struct usage_event *ev)
{
	struct wanted w = { text_of(line, "name"),
		json_object_get(line, "columns"), json_object_get(line, "ours"),
		NULL, json_object() };
	int bad;

	/* of a second delivery it matters only that it is known for one */
	if (is(line, "duplicate"))
		bad = compare_hash(&w, "event_hash", true, ev->hash);
	else
		bad = compare_event(&w, ev);
	bad += count_missed(&w);
	if (ev->ts_given ==
	    (strcmp(text_of(line, "notes"), "timestamp = now") == 0)) {
		print_error("%s: whose time?\n", w.name);
		bad++;
	}
	json_decref(w.seen);
	return bad;
}

/* Why it is none; our words where the reference's quote the payload. */
static int
compare_error(const json_t *line, const struct err *e)
{
	const json_t *want =
	    json_object_get(json_object_get(line, "ours"), "error");

	if (want == NULL)
		want = json_object_get(line, "error");
	return differs(text_of(line, "name"), "error", json_in_text(want),
	    str_of(e->text));
}

static enum payload_kind
wanted_kind(const json_t *line)
{
	if (is(line, "dead_letter"))
		return PAYLOAD_DEAD;
	if (is(line, "refresh"))
		return PAYLOAD_REFRESH;
	return is(line, "control") ? PAYLOAD_CONTROL : PAYLOAD_EVENT;
}

static void
every_example_holds(void **state)
{
	struct arena a;
	int bad = 0;

	(void)state;
	arena_init(&a, 1024 * 1024);
	for (size_t i = 0; i < json_array_size(examples); i++) {
		const json_t *line = json_array_get(examples, i);
		enum payload_kind kind;
		struct usage_event ev;
		struct err e;

		arena_reset(&a);
		kind = normalise(json_in_text(json_object_get(line, "payload")),
		    NOW_MS, &a, &ev, &e);
		if (kind != wanted_kind(line)) {
			print_error("%s: is no %s\n", text_of(line, "name"),
			    text_of(line, "kind"));
			bad++;
		} else if (kind == PAYLOAD_EVENT)
			bad += compare(line, &ev);
		else if (kind == PAYLOAD_DEAD)
			bad += compare_error(line, &e);
	}
	arena_free(&a);
	assert_int_equal(bad, 0);
}

/* So that no example gets lost, and no exception is made unseen. */
static void
all_examples_are_there(void **state)
{
	(void)state;
	assert_int_equal(json_array_size(examples), 82);
	assert_int_equal(count_kind("event"), 71);
	assert_int_equal(count_kind("duplicate"), 2);
	assert_int_equal(count_kind("dead_letter"), 6);
	assert_int_equal(count_kind("refresh") + count_kind("control"), 3);
	/* is_compared() says why nothing can be asserted of these */
	assert_int_equal(count_with("columns", "raw_json"), 6);
	assert_int_equal(count_with("columns", "fail_body"), 9);
	/* masked more, redacted more, and a reason that quotes nothing */
	assert_int_equal(count_with("ours", "source"), 3);
	assert_int_equal(count_with("ours", "fail_summary"), 2);
	assert_int_equal(count_with("ours", "error"), 1);
}

static int
load(void **state)
{
	(void)state;
	examples = load_lines("tests/data/worked-examples.jsonl");
	return examples == NULL ? -1 : 0;
}

static int
unload(void **state)
{
	(void)state;
	json_decref(examples);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_examples_are_there),
		cmocka_unit_test(every_example_holds),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
