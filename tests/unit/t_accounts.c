/*
 * The thread that keeps CPA's accounts at hand: when it asks, who waits for
 * it, and that a list lives as long as it is held.
 */
#include <string.h>
#include <sys/eventfd.h>

#include "clock.h"
#include "collectord/accounts.h"
#include "http.h"
#include "test_cmocka.h"
#include "test_server.h"

#define KEY "the key"
#define SOON_MS 1000 /* less than anybody may wait for CPA */

static struct test_server server;
static struct daemon daemon_of_test;
static pthread_t thread;

/* What the server says: the file's name, the status, and how late. */
static atomic_int file_number, status, late_ms;

static bool
answer(struct test_server *s, int fd)
{
	char head[256], body[128];

	if (late_ms > 0 && !test_server_wait(s, fd, late_ms))
		return false;
	snprintf(body, sizeof body,
	    "{\"files\":[{\"auth_index\":\"i\",\"name\":\"f%d\"}]}",
	    file_number);
	snprintf(head, sizeof head,
	    "HTTP/1.1 %d Status\r\nContent-Length: %zu\r\n\r\n", status,
	    strlen(body));
	test_server_say(fd, head);
	test_server_say(fd, body);
	return true;
}

static void
configure(const char *key, bool enabled)
{
	struct source_config s = { .enabled = enabled };

	snprintf(s.base, sizeof s.base, "http://127.0.0.1:%d/cpa", server.port);
	text_set(s.key, sizeof s.key, key);
	daemon_source_set(&daemon_of_test, &s);
}

static int
start(void **state)
{
	struct daemon *d = &daemon_of_test;

	test_server_start(&server, answer);
	file_number = 1;
	status = 200;
	late_ms = 0;
	memset(d, 0, sizeof *d);
	pthread_mutex_init(&d->lock, NULL);
	pthread_mutex_init(&d->spool.lock, NULL);
	pthread_cond_init(&d->spool.grown, NULL);
	d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->accounts = accounts_new(d);
	configure(KEY, true);
	*state = d->accounts;
	return d->wake_fd == -1 || d->accounts == NULL ||
	       pthread_create(&thread, NULL, accounts_main, d) != 0;
}

static void
stop(void)
{
	atomic_store(&daemon_of_test.stopping, true);
	accounts_wake(daemon_of_test.accounts);
}

static int
end(void **state)
{
	(void)state;
	stop();
	pthread_join(thread, NULL);
	accounts_free(daemon_of_test.accounts);
	close(daemon_of_test.wake_fd);
	test_server_end(&server);
	return 0;
}

/* Hold the list, at once or nearly so, whose file must be of that number. */
static const struct account_list *
expect_file(struct accounts *a, int number)
{
	int64_t begun_ms = clock_mono_ms();
	const struct account_list *l = accounts_hold(a);
	const struct account *found;
	char name[16];

	assert_true(clock_mono_ms() - begun_ms < SOON_MS);
	if (number == 0) {
		assert_null(l);
		return NULL;
	}
	snprintf(name, sizeof name, "f%d", number);
	assert_non_null(l);
	assert_non_null(found = account_list_find(l, STR("i")));
	assert_true(str_eq(found->file, str_of(name)));
	return l;
}

static void
wait_for_requests(int n)
{
	for (int i = 0; i < 200 && server.requests < n; i++)
		poll(NULL, 0, 20);
	assert_int_equal(server.requests, n);
}

static void
the_first_event_waits_and_the_others_do_not(void **state)
{
	/* unless it is needed CPA is not asked */
	poll(NULL, 0, 100);
	assert_int_equal(server.requests, 0);
	for (int i = 0; i < 100; i++) {
		expect_file(*state, 1);
		accounts_release(*state);
		file_number = 2;
	}
	assert_int_equal(server.requests, 1);
	assert_memory_equal(server.request,
	    "GET /cpa/v0/management/auth-files HTTP/1.1\r\n", 44);
	assert_non_null(
	    strstr(server.request, "\r\nAuthorization: Bearer " KEY "\r\n"));
}

static void
a_dropped_list_lives_while_it_is_held(void **state)
{
	const struct account_list *l = expect_file(*state, 1);

	file_number = 2;
	accounts_drop(*state);
	/* without being asked: events were there a moment ago */
	wait_for_requests(2);
	poll(NULL, 0, 50);
	assert_true(str_eq(account_list_find(l, STR("i"))->file, STR("f1")));
	accounts_release(*state);
	accounts_release(*state);
	expect_file(*state, 2);
	assert_int_equal(server.requests, 2);
	/* a list that is held to the end goes with the rest */
}

static void
asked_in_vain_nobody_waits(void **state)
{
	status = 500;
	expect_file(*state, 0);
	late_ms = 60000;
	accounts_drop(*state);
	expect_file(*state, 0);
	assert_int_equal(server.requests, 1);
}

static void
an_old_list_serves_when_there_is_no_new_one(void **state)
{
	expect_file(*state, 1);
	accounts_release(*state);
	status = 500;
	accounts_drop(*state);
	expect_file(*state, 1);
	expect_file(*state, 1);
	assert_int_equal(server.requests, 2);
}

static void
a_refused_key_is_not_used_again(void **state)
{
	struct source_config s;
	struct source_state told;
	unsigned version;

	expect_file(*state, 1);
	status = 401;
	accounts_drop(*state);
	expect_file(*state, 1);
	daemon_source(&daemon_of_test, &s, &version);
	assert_true(s.refused_until_ms > clock_now_ms());
	daemon_state(&daemon_of_test, &told, &version);
	assert_true(told.key_refused);
	accounts_drop(*state);
	expect_file(*state, 1);
	poll(NULL, 0, 100);
	assert_int_equal(server.requests, 2);
}

static void
another_connection_has_other_accounts(void **state)
{
	expect_file(*state, 1);
	file_number = 2;
	configure("another key", true);
	expect_file(*state, 2);
	assert_non_null(strstr(server.request, "Bearer another key\r\n"));
	/* where nothing is collected nothing is asked, but what is known of
	 * the same connection holds */
	configure("another key", false);
	accounts_drop(*state);
	expect_file(*state, 2);
	configure("a third key", false);
	expect_file(*state, 0);
	configure("", true);
	expect_file(*state, 0);
	assert_int_equal(server.requests, 2);
}

static void *
stop_later(void *arg)
{
	(void)arg;
	poll(NULL, 0, 200);
	stop();
	return NULL;
}

static void
the_end_does_not_wait(void **state)
{
	pthread_t stopper;

	late_ms = 60000;
	assert_int_equal(pthread_create(&stopper, NULL, stop_later, NULL), 0);
	expect_file(*state, 0);
	expect_file(*state, 0);
	pthread_join(stopper, NULL);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, start, end)
	const struct CMUnitTest tests[] = {
		TEST(the_first_event_waits_and_the_others_do_not),
		TEST(a_dropped_list_lives_while_it_is_held),
		TEST(asked_in_vain_nobody_waits),
		TEST(an_old_list_serves_when_there_is_no_new_one),
		TEST(a_refused_key_is_not_used_again),
		TEST(another_connection_has_other_accounts),
		TEST(the_end_does_not_wait),
	};
	struct err e;

	if (http_global_init(&e) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
