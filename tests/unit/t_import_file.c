/* The file of an import: unpacked, bounded, on the disk, gone again. */
#include <string.h>

#include "buf.h"
#include "import_file.h"
#include "test_cmocka.h"
#include "test_dir.h"

#define TEXT "{\"event_hash\":\"h\",\"model\":\"m\"}\n"

static int
keep(void *to, const char *p, size_t n)
{
	buf_add(to, p, n);
	return 0;
}

static struct buf
packed(enum codec c, struct str text)
{
	struct codec_stream *s;
	struct buf b;

	buf_init(&b, (size_t)16 << 20);
	assert_non_null(s = codec_packer(c, keep, &b));
	assert_int_equal(codec_add(s, text.p, text.n, NULL), 0);
	assert_int_equal(codec_end(s, NULL), 0);
	codec_free(s);
	return b;
}

/* Take in data, `step` bytes at a time, up to the end; how it went. */
static int
take_in(struct import_file *f, enum codec c, int64_t max, struct str data,
    size_t step, struct err *e)
{
	int rc;

	if (import_file_create(f, in_dir("import"), c, max, e) != 0)
		FAIL("%s", e->text);
	for (size_t i = 0; i < data.n; i += step)
		if ((rc = import_file_add(f, data.p + i,
			 data.n - i < step ? data.n - i : step, e)) != 0)
			return rc;
	return import_file_finish(f, e);
}

static void
expect_content(enum codec c, struct str data, size_t step, struct str want)
{
	struct import_file f;
	struct err e;
	char *have;
	size_t n = 0;

	if (take_in(&f, c, 0, data, step, &e) != 0)
		FAIL("%s", e.text);
	have = file_read(f.path, &n);
	assert_non_null(have);
	assert_true(str_eq((struct str){ have, n }, want));
	assert_int_equal(f.bytes, want.n);
	import_file_close(&f, true);
	assert_false(file_exists(f.path));
	free(have);
}

static void
expect_refused(
    enum codec c, int64_t max, struct str data, size_t step, enum err_kind kind)
{
	struct import_file f;
	struct err e;

	assert_int_equal(take_in(&f, c, max, data, step, &e), -1);
	assert_int_equal(e.kind, (int)kind);
	assert_true(e.text[0] != '\0');
	import_file_close(&f, true);
	assert_false(file_exists(f.path));
}

static void
what_is_added_is_unpacked(void **state)
{
	const struct str text = STR(TEXT TEXT TEXT);

	(void)state;
	for (size_t step = 1; step < 40; step += 3) {
		expect_content(CODEC_NONE, text, step, text);
		for (enum codec c = CODEC_GZIP; c <= CODEC_ZSTD; c++) {
			struct buf b = packed(c, text);

			/* told, and found out */
			expect_content(c, buf_view(&b), step, text);
			expect_content(CODEC_NONE, buf_view(&b), step, text);
			buf_free(&b);
		}
	}
}

/* Fewer bytes than it takes to tell. */
static void
short_ones_are_what_they_are(void **state)
{
	static const char *const texts[] = { "", "{", "{}", "[1]", "\x1f",
		"\x28\xb5", "\x28\xb5\x2f" };

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct str text = str_of(texts[i]);

		expect_content(CODEC_NONE, text, 1, text);
		expect_content(CODEC_NONE, text, 10, text);
	}
	expect_refused(CODEC_NONE, 0, STR("\x1f\x8b"), 1, ERR_INPUT);
	expect_refused(CODEC_NONE, 0, STR("\x28\xb5\x2f\xfd"), 4, ERR_INPUT);
}

static void
what_is_not_of_the_format(void **state)
{
	struct buf b = packed(CODEC_GZIP, STR(TEXT));

	(void)state;
	expect_refused(CODEC_GZIP, 0, STR(TEXT), 100, ERR_INPUT);
	expect_refused(CODEC_ZSTD, 0, STR(TEXT), 100, ERR_INPUT);
	expect_refused(CODEC_ZSTD, 0, buf_view(&b), 100, ERR_INPUT);
	expect_refused(
	    CODEC_NONE, 0, (struct str){ b.p, b.n - 1 }, 7, ERR_INPUT);
	buf_free(&b);
}

static void
the_limit_counts_after_unpacking(void **state)
{
	const int64_t n = 3 << 20;
	char *text = calloc(1, (size_t)n);
	struct str whole = { text, (size_t)n };

	(void)state;
	assert_non_null(text);
	for (enum codec c = CODEC_NONE; c <= CODEC_ZSTD; c++) {
		struct buf b = packed(c, whole);
		struct import_file f;
		struct err e;

		expect_refused(c, n - 1, buf_view(&b), 4096, ERR_TOO_LARGE);
		expect_refused(CODEC_NONE, n - 1, buf_view(&b), SIZE_MAX / 2,
		    ERR_TOO_LARGE);
		assert_int_equal(take_in(&f, c, n, buf_view(&b), 4096, &e), 0);
		assert_int_equal(f.bytes, n);
		import_file_close(&f, true);
		buf_free(&b);
	}
	free(text);
}

static void
it_stays_when_it_is_handed_over(void **state)
{
	struct import_file f, other;
	char path[PATH_MAX];
	struct err e;

	(void)state;
	assert_int_equal(take_in(&f, CODEC_NONE, 0, STR(TEXT), 9, &e), 0);
	assert_int_equal(take_in(&other, CODEC_NONE, 0, STR(TEXT), 9, &e), 0);
	assert_string_not_equal(f.name, other.name);
	/* the job names it, and finds it by that */
	assert_true(import_file_path(
	    in_dir("import"), str_of(f.name), path, sizeof path));
	assert_string_equal(path, f.path);
	assert_int_equal(file_mode(path) & 07, 0);
	import_file_close(&f, false);
	import_file_close(&other, true);
	assert_true(file_exists(path));
	/* closing it once more does not take it away */
	import_file_close(&f, true);
	assert_true(file_exists(path));
	assert_int_equal(remove(path), 0);
}

static void
names_that_are_none(void **state)
{
	char path[PATH_MAX], small[41];

	(void)state;
	assert_true(import_file_path(
	    "/d", STR("0123456789abcdef0123456789abcdef"), path, sizeof path));
	assert_string_equal(path, "/d/0123456789abcdef0123456789abcdef");
	assert_true(import_file_path("/d12345",
	    STR("0123456789abcdef0123456789abcdef"), small, sizeof small));
	assert_false(import_file_path("/d12345",
	    STR("0123456789abcdef0123456789abcdef"), small, sizeof small - 1));
	assert_false(import_file_path("/d", STR(""), path, sizeof path));
	assert_false(
	    import_file_path("/d", (struct str){ NULL, 0 }, path, sizeof path));
	assert_false(import_file_path(
	    "/d", STR("0123456789abcdef0123456789abcde"), path, sizeof path));
	assert_false(import_file_path(
	    "/d", STR("../../etc/passwd0000000000000000"), path, sizeof path));
	assert_false(import_file_path(
	    "/d", STR("0123456789abcdef0123456789abcde\0"), path, sizeof path));
}

static void
a_directory_that_cannot_be(void **state)
{
	struct import_file f;
	struct err e;

	(void)state;
	file_write(in_dir("file"), "", 0);
	assert_int_equal(
	    import_file_create(&f, in_dir("file/import"), CODEC_NONE, 0, &e),
	    -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	/* closing what never was is harmless */
	import_file_close(&f, true);
	assert_int_equal(
	    import_file_create(&f, in_dir("not/there"), CODEC_NONE, 0, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	import_file_close(&f, true);
}

static void
a_disk_that_is_full(void **state)
{
	struct import_file f;
	struct err e;
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), own;

	(void)state;
	assert_true(full >= 0);
	assert_int_equal(
	    import_file_create(&f, in_dir("import"), CODEC_NONE, 0, &e), 0);
	own = f.fd;
	f.fd = full;
	assert_int_equal(import_file_add(&f, TEXT, sizeof TEXT - 1, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	close(own);
	import_file_close(&f, true);
	assert_false(file_exists(f.path));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_added_is_unpacked),
		cmocka_unit_test(short_ones_are_what_they_are),
		cmocka_unit_test(what_is_not_of_the_format),
		cmocka_unit_test(the_limit_counts_after_unpacking),
		cmocka_unit_test(it_stays_when_it_is_handed_over),
		cmocka_unit_test(names_that_are_none),
		cmocka_unit_test(a_directory_that_cannot_be),
		cmocka_unit_test(a_disk_that_is_full),
	};

	return cmocka_run_group_tests(tests, test_dir_make, test_dir_remove);
}
