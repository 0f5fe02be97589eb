/*
 * gzip and zstd as streams: what was packed comes back, in whatever pieces;
 * what is cut or broken is told; a sink that gives up is not asked again.
 */
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "codec.h"
#include "test_cmocka.h"

#define LIMIT ((size_t)64 << 20)

struct sink {
	struct buf all;
	unsigned calls, refuse_from; /* 0: never */
};

static int
take(void *to, const char *p, size_t n)
{
	struct sink *s = to;

	s->calls++;
	assert_true(n > 0);
	if (s->refuse_from > 0 && s->calls >= s->refuse_from)
		return -1;
	buf_add(&s->all, p, n);
	return 0;
}

/* All of `in` through a stream, `step` bytes at a time. */
static int
pass(struct codec_stream *s, struct str in, size_t step, struct err *e)
{
	int rc = 0;

	assert_non_null(s);
	err_clear(e);
	for (size_t i = 0; rc == 0 && i < in.n; i += step)
		rc = codec_add(
		    s, in.p + i, in.n - i < step ? in.n - i : step, e);
	if (rc == 0)
		rc = codec_end(s, e);
	codec_free(s);
	return rc;
}

static struct buf
packed(enum codec c, struct str text, size_t step)
{
	struct sink to = { .calls = 0 };
	struct err e;

	buf_init(&to.all, LIMIT);
	assert_int_equal(pass(codec_packer(c, take, &to), text, step, &e), 0);
	return to.all;
}

static void
expect_back(enum codec c, struct str data, size_t step, struct str want)
{
	struct sink to = { .calls = 0 };
	struct err e;

	buf_init(&to.all, LIMIT);
	if (pass(codec_unpacker(c, take, &to), data, step, &e) != 0)
		FAIL("%s", e.text);
	assert_true(str_eq(buf_view(&to.all), want));
	buf_free(&to.all);
}

static void
expect_bad(enum codec c, struct str data, size_t step)
{
	struct sink to = { .calls = 0 };
	struct err e;

	buf_init(&to.all, LIMIT);
	assert_int_equal(
	    pass(codec_unpacker(c, take, &to), data, step, &e), -1);
	assert_int_equal(e.kind, ERR_INPUT);
	assert_true(str_contains(str_of(e.text), str_of(codec_name(c))));
	buf_free(&to.all);
}

static const enum codec both[] = { CODEC_GZIP, CODEC_ZSTD };

/* Text that packs well, and one that does not. */
static char *
made_up(size_t n, bool noise)
{
	char *p = malloc(n + 1);
	uint64_t x = 0x9e3779b97f4a7c15;

	assert_non_null(p);
	for (size_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = noise ? (char)x : (char)('a' + i / 1000 % 26);
	}
	return p;
}

/* ---- round trips --------------------------------------------------------- */

static void
what_was_packed_comes_back(void **state)
{
	/* around what is handed on at a time, too */
	static const size_t sizes[] = { 0, 1, 2, 100, 65535, 65536, 65537,
		131072, 1000000 };

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		for (int k = 0; k < 4; k++) {
			enum codec c = both[k % 2];
			char *text = made_up(sizes[i], k < 2);
			struct str whole = { text, sizes[i] };
			struct buf data = packed(c, whole, 70000);

			expect_back(c, buf_view(&data), SIZE_MAX / 2, whole);
			expect_back(c, buf_view(&data), 4096, whole);
			expect_back(c, buf_view(&data), 1, whole);
			buf_free(&data);
			free(text);
		}
}

static void
packing_in_pieces_changes_nothing(void **state)
{
	char *text = made_up(5000, false);
	struct str whole = { text, 5000 };

	(void)state;
	for (int k = 0; k < 2; k++) {
		struct buf data = packed(both[k], whole, 1);

		assert_true(data.n < 500);
		expect_back(both[k], buf_view(&data), 7, whole);
		buf_free(&data);
	}
	free(text);
}

static void
none_hands_everything_on(void **state)
{
	struct str text = STR("as it is\0, with a NUL");
	struct buf data = packed(CODEC_NONE, text, 3);

	(void)state;
	assert_true(str_eq(buf_view(&data), text));
	expect_back(CODEC_NONE, text, 5, text);
	expect_back(CODEC_NONE, STR(""), 5, STR(""));
	buf_free(&data);
}

/* Members of gzip and frames of zstd may follow each other. */
static void
several_members_are_one_text(void **state)
{
	(void)state;
	for (int k = 0; k < 2; k++) {
		enum codec c = both[k];
		struct buf data = packed(c, STR("first "), 100);
		struct buf more = packed(c, STR(""), 100);
		struct buf last = packed(c, STR("second"), 100);

		buf_str(&data, buf_view(&more));
		buf_str(&data, buf_view(&last));
		for (size_t step = 1; step <= data.n; step++)
			expect_back(
			    c, buf_view(&data), step, STR("first second"));
		/* the last one cut, wherever */
		for (size_t cut = 1; cut < last.n; cut++)
			expect_bad(c, (struct str){ data.p, data.n - cut }, 9);
		buf_free(&data);
		buf_free(&more);
		buf_free(&last);
	}
}

/* ---- damage -------------------------------------------------------------- */

static void
cut_data_is_told(void **state)
{
	char *text = made_up(300, true);

	(void)state;
	for (int k = 0; k < 2; k++) {
		struct buf data =
		    packed(both[k], (struct str){ text, 300 }, 300);

		for (size_t n = 0; n < data.n; n++)
			expect_bad(both[k], (struct str){ data.p, n }, 50);
		buf_free(&data);
	}
	free(text);
}

static void
garbage_is_told(void **state)
{
	(void)state;
	for (int k = 0; k < 2; k++) {
		struct buf data = packed(both[k], STR("some text"), 100);
		char *wrong;

		expect_bad(both[k], STR("{\"model\":\"m\"}"), 100);
		expect_bad(both[k], STR("{\"model\":\"m\"}"), 1);
		/* behind the end */
		buf_z(&data, "garbage");
		expect_bad(both[k], buf_view(&data), 100);
		expect_bad(both[k], buf_view(&data), 1);
		data.n -= 7;
		/* in the first bytes; gzip has a sum over the text as well */
		wrong = data.p;
		wrong[0] ^= 0x10;
		expect_bad(both[k], buf_view(&data), 100);
		wrong[0] ^= 0x10;
		if (both[k] == CODEC_GZIP) {
			wrong[data.n - 8] ^= 1;
			expect_bad(both[k], buf_view(&data), 100);
		}
		buf_free(&data);
	}
	/* each has a header of its own: no zlib, no raw data */
	expect_bad(CODEC_GZIP, STR("\x78\x9c\x03\x00\x00\x00\x00\x01"), 100);
	expect_bad(CODEC_ZSTD, STR("\x1f\x8b\x08\x00"), 100);
}

/* A frame that wants a window beyond all measure is refused, not tried. */
static void
a_huge_window_is_refused(void **state)
{
	(void)state;
	/* window descriptor 0xf8: 2^41 bytes */
	expect_bad(
	    CODEC_ZSTD, STR("\x28\xb5\x2f\xfd\x00\xf8\x01\x00\x00"), 100);
}

/* ---- sinks --------------------------------------------------------------- */

static void
a_sink_that_gives_up(void **state)
{
	char *text = made_up(1000000, true);
	struct str whole = { text, 1000000 };

	(void)state;
	for (int k = 0; k < 3; k++) {
		enum codec c = k < 2 ? both[k] : CODEC_NONE;
		struct buf data = packed(c, whole, SIZE_MAX / 2);
		struct sink to = { .refuse_from = 2 };
		struct err e;

		buf_init(&to.all, LIMIT);
		e.kind = ERR_INTERNAL;
		assert_int_equal(pass(codec_unpacker(c, take, &to),
				     buf_view(&data), 100000, &e),
		    -1);
		assert_int_equal(e.kind, ERR_NONE);
		assert_int_equal(to.calls, 2);
		to.calls = 0;
		e.kind = ERR_INTERNAL;
		assert_int_equal(
		    pass(codec_packer(c, take, &to), whole, 100000, &e), -1);
		assert_int_equal(e.kind, ERR_NONE);
		assert_int_equal(to.calls, 2);
		buf_free(&to.all);
		buf_free(&data);
	}
	/* at the end only */
	for (int k = 0; k < 2; k++) {
		struct sink to = { .refuse_from = 1 };
		struct codec_stream *s = codec_packer(both[k], take, &to);
		struct err e = { .kind = ERR_INTERNAL };

		assert_int_equal(codec_add(s, "", 0, &e), 0);
		assert_int_equal(codec_end(s, &e), -1);
		assert_int_equal(e.kind, ERR_NONE);
		codec_free(s);
	}
	free(text);
	codec_free(NULL);
}

/* ---- names --------------------------------------------------------------- */

static void
encodings(void **state)
{
	static const struct {
		const char *name;
		int codec; /* -1: not known */
	} cases[] = {
		{ "", CODEC_NONE },
		{ "  ", CODEC_NONE },
		{ "identity", CODEC_NONE },
		{ "Identity", CODEC_NONE },
		{ "gzip", CODEC_GZIP },
		{ " GZip\t", CODEC_GZIP },
		{ "x-gzip", CODEC_GZIP },
		{ "zstd", CODEC_ZSTD },
		{ "ZSTD", CODEC_ZSTD },
		{ "br", -1 },
		{ "deflate", -1 },
		{ "gzip, zstd", -1 },
		{ "gzipp", -1 },
		{ "gzi", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		enum codec c = CODEC_NONE;
		int rc = codec_of_encoding(str_of(cases[i].name), &c);

		assert_int_equal(rc == 0 ? (int)c : -1, cases[i].codec);
	}
	assert_string_equal(codec_name(CODEC_GZIP), "gzip");
	assert_string_equal(codec_name(CODEC_ZSTD), "zstd");
	assert_null(codec_name(CODEC_NONE));
}

static void
what_a_client_accepts(void **state)
{
	static const struct {
		const char *header;
		enum codec best;
	} cases[] = {
		{ "", CODEC_NONE },
		{ "identity", CODEC_NONE },
		{ "br, deflate", CODEC_NONE },
		{ "gzip", CODEC_GZIP },
		{ "gzip, deflate, br", CODEC_GZIP },
		{ "gzip, deflate, br, zstd", CODEC_ZSTD },
		{ "zstd,gzip", CODEC_ZSTD },
		{ "ZSTD", CODEC_ZSTD },
		{ "gzip;q=1.0, zstd;q=0", CODEC_GZIP },
		{ "gzip;q=0, zstd;q=0.000", CODEC_NONE },
		{ "gzip;q=0", CODEC_NONE },
		{ "gzip;Q=0", CODEC_NONE },
		{ "gzip; q=0", CODEC_NONE },
		{ "gzip ;q=0.001", CODEC_GZIP },
		{ "gzip;q=", CODEC_NONE },
		{ "gzip;level=9", CODEC_GZIP },
		{ "zstd;q=0.5, gzip;q=0.9", CODEC_ZSTD },
		{ ",, gzip ,", CODEC_GZIP },
		{ ";q=1", CODEC_NONE },
		{ "gzipp, zst", CODEC_NONE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (codec_accepted(str_of(cases[i].header)) != cases[i].best)
			FAIL("%s\n", cases[i].header);
	assert_int_equal(codec_accepted((struct str){ NULL, 0 }), CODEC_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_packed_comes_back),
		cmocka_unit_test(packing_in_pieces_changes_nothing),
		cmocka_unit_test(none_hands_everything_on),
		cmocka_unit_test(several_members_are_one_text),
		cmocka_unit_test(cut_data_is_told),
		cmocka_unit_test(garbage_is_told),
		cmocka_unit_test(a_huge_window_is_refused),
		cmocka_unit_test(a_sink_that_gives_up),
		cmocka_unit_test(encodings),
		cmocka_unit_test(what_a_client_accepts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
