/*
 * cpactl: command line and table of commands.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "clock.h"
#include "ctl/ctl.h"
#include "ctl/when.h"
#include "log.h"

enum {
	OPT_DATA = 1,
	OPT_HELP,
	OPT_VERSION,
	OPT_JSON,
	OPT_KEY_FILE,
	OPT_FROM,
	OPT_TO,
	OPT_FULL,
	OPT_MODEL,
	OPT_PROVIDER,
	OPT_ACCOUNT,
	OPT_API_KEY,
	OPT_FAILED,
	OPT_LIMIT,
	OPT_FORMAT,
	OPT_OUTPUT = 'o',
	OPT_FOLLOW = 'f'
};

#define OPTION_DATA                                       \
	{                                                 \
		"data", required_argument, NULL, OPT_DATA \
	}
#define OPTION_HELP                                 \
	{                                           \
		"help", no_argument, NULL, OPT_HELP \
	}
#define OPTION_END               \
	{                        \
		NULL, 0, NULL, 0 \
	}

static const struct option global_options[] = {
	OPTION_DATA,
	OPTION_HELP,
	{ "version", no_argument, NULL, OPT_VERSION },
	OPTION_END,
};

static const struct option reset_options[] = {
	OPTION_DATA,
	OPTION_HELP,
	{ "admin-key-file", required_argument, NULL, OPT_KEY_FILE },
	OPTION_END,
};

static const struct option status_options[] = {
	OPTION_DATA,
	OPTION_HELP,
	{ "json", no_argument, NULL, OPT_JSON },
	OPTION_END,
};

static const struct option verify_options[] = {
	OPTION_DATA,
	OPTION_HELP,
	OPTION_END,
};

static const struct option export_options[] = {
	OPTION_DATA,
	OPTION_HELP,
	{ "output", required_argument, NULL, OPT_OUTPUT },
	{ "from", required_argument, NULL, OPT_FROM },
	{ "to", required_argument, NULL, OPT_TO },
	{ "full", no_argument, NULL, OPT_FULL },
	OPTION_END,
};

static const struct option import_options[] = {
	OPTION_DATA,
	OPTION_HELP,
	OPTION_END,
};

static const struct option events_options[] = {
	OPTION_DATA,
	OPTION_HELP,
	{ "from", required_argument, NULL, OPT_FROM },
	{ "to", required_argument, NULL, OPT_TO },
	{ "model", required_argument, NULL, OPT_MODEL },
	{ "provider", required_argument, NULL, OPT_PROVIDER },
	{ "account", required_argument, NULL, OPT_ACCOUNT },
	{ "api-key-hash", required_argument, NULL, OPT_API_KEY },
	{ "failed", no_argument, NULL, OPT_FAILED },
	{ "limit", required_argument, NULL, OPT_LIMIT },
	{ "format", required_argument, NULL, OPT_FORMAT },
	{ "follow", no_argument, NULL, OPT_FOLLOW },
	OPTION_END,
};

struct command {
	const char *name, *arguments;
	const char *does; /* one line for the list of commands */
	const char *help; /* the rest, for its own --help */
	const struct option *options;
	const char *letters; /* options of one letter, for getopt */
	int words;           /* arguments that are no options */
	ctl_command *run;
};

#define TIME_HELP                                                           \
	"\nTIME: a day (2026-11-24), a time (2026-11-24T08:00:00Z), so "    \
	"long ago\n(90m, 24h, 7d), or Unix milliseconds.  A day or a time " \
	"without a zone is UTC.\n"

static const char events_help[] =
    "tail: the last 20 in the order of arrival, the newest at the bottom.\n"
    "query: the last 20 by their own time, the newest at the top.\n\n"
    "  -f, --follow         tail: go on with those that come, till Ctrl-C\n"
    "  --from TIME          query: from then on\n"
    "  --to TIME            query: before then\n"
    "  --model NAME         as it was asked for, or as it answered\n"
    "  --provider NAME\n"
    "  --account NAME       or its label, source, index or file\n"
    "  --api-key-hash HASH  or how it begins\n"
    "  --failed             only what failed\n"
    "  --limit N            how many, in place of 20\n"
    "  --format FORMAT      table, json (as export --full gives) or "
    "csv\n" TIME_HELP
    "A NAME must be whole; capitals do not count.  The table shows local "
    "time.\n";

static const char export_help[] =
    "\n  -o, --output FILE  in place of standard output; a name in .gz or "
    ".zst\n"
    "                     compresses\n"
    "  --from TIME        from then on\n"
    "  --to TIME          before then\n"
    "  --full             also the tiers asked for and given, and the "
    "cache mode\n" TIME_HELP
    "\nFILE gets its name once it is complete; until then it is "
    "FILE.part.\n";

static const char import_help[] =
    "FILE is plain or compressed with gzip or zstd, of any size; \"-\" is\n"
    "standard input.  collectord does the work, so it must run; cpactl "
    "waits.\n"
    "Events that are there already are left alone.  Exit code 1 when\n"
    "something could not be read.\n";

static const char reset_help[] =
    "The new key is made and shown once, or taken from FILE (one line of at\n"
    "least 16 characters; /dev/stdin serves).  The old one opens nothing any\n"
    "more.\n";

static const char status_help[] =
    "Exit code 0: all is well; 3: collectord is stopped or in error; 1:\n"
    "nothing can be said.\n";

static const char verify_help[] =
    "Reads only, at any time.  A line a check: \"ok\", or what is wrong;\n"
    "exit code 1 when anything is.\n";

static const struct command commands[] = {
	{ "events", " tail|query [OPTION ...]",
	    "show events: those that came last, or those of a time",
	    events_help, events_options, ":f", 1, ctl_events },
	{ "export", " [-o FILE] [--from TIME] [--to TIME] [--full]",
	    "write every event as a line of JSON, oldest first", export_help,
	    export_options, ":o:", 0, ctl_export },
	{ "import", " FILE",
	    "store the events of an export, of a queue or of a snapshot",
	    import_help, import_options, ":", 1, ctl_import },
	{ "reset-admin-key", " [--admin-key-file FILE]",
	    "replace the admin key, at once and while everything runs",
	    reset_help, reset_options, ":", 0, ctl_reset_admin_key },
	{ "status", " [--json]", "show what is stored and what collectord does",
	    status_help, status_options, ":", 0, ctl_status },
	{ "verify", "", "check everything that is stored", verify_help,
	    verify_options, ":", 0, ctl_verify },
};

#define COMMANDS (sizeof commands / sizeof *commands)

static void
usage(FILE *to)
{
	fputs("usage: cpactl [--data DIR] COMMAND [ARGUMENT ...]\n"
	      "       cpactl COMMAND --help\n"
	      "       cpactl --help | --version\n\n",
	    to);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(to, "  %s%s\n        %s\n", commands[i].name,
		    commands[i].arguments, commands[i].does);
	fputs("\n  --data DIR   data directory (else USAGE_DATA_DIR or the "
	      "config file)\n",
	    to);
}

static void
command_usage(FILE *to, const struct command *k)
{
	fprintf(to, "usage: cpactl [--data DIR] %s%s\n", k->name, k->arguments);
}

int
ctl_fail(const char *command, const char *fmt, ...)
{
	char text[PATH_MAX + 512];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	fprintf(stderr, "cpactl %s: ", command);
	ctl_put_text(stderr, text);
	fputc('\n', stderr);
	return EXIT_FAILED;
}

int
ctl_open(
    const char *command, const struct cfg *c, struct db *db, enum db_mode mode)
{
	struct stat st;
	struct err e;

	*db = (struct db){ .handle = NULL };
	if (stat(c->db_path, &st) == -1) {
		if (errno == ENOENT || errno == ENOTDIR)
			ctl_fail(command,
			    "no database at %s; name the data directory with "
			    "--data DIR",
			    c->db_path);
		else
			ctl_fail(command,
			    "database %s: %s; run this as the user of the "
			    "service",
			    c->db_path, strerrordesc_np(errno));
		return -1;
	}
	if (db_open(db, c->db_path, mode, &e) != 0 ||
	    db_schema_check(db, &e) != 0) {
		ctl_fail(command, "%s", e.text);
		db_close(db);
		return -1;
	}
	return 0;
}

/* Say what getopt_long() did not like about an argument. */
static void
bad_argument(const char *of, const char *letters, int c, char *const *argv)
{
	char letter[] = { '-', (char)optopt, '\0' };
	/* one among others, as in -fx: optind may not have passed them yet */
	bool unknown =
	    c == '?' && optopt >= ' ' && strchr(letters, optopt) == NULL;

	fprintf(stderr, "cpactl%s%s: %s \"", of[0] != '\0' ? " " : "", of,
	    c == ':' ? "nothing follows" : "unknown option");
	ctl_put_text(stderr, unknown ? letter : argv[optind - 1]);
	fputs("\"\n", stderr);
}

/* ---- values of options --------------------------------------------------- */

/* All of these return -1 to go on, else the exit code. */

static int
bad_value(const struct command *k, const char *option, const char *wanted)
{
	fprintf(stderr, "cpactl %s: --%s \"", k->name, option);
	ctl_put_text(stderr, optarg);
	fprintf(stderr, "\": must be %s\n", wanted);
	return EXIT_USAGE;
}

static int
read_time(const struct command *k, const char *option, int64_t *out, bool *set)
{
	*set = true;
	if (when_parse(optarg, clock_now_ms(), out) == 0)
		return -1;
	return bad_value(k, option,
	    "a day (2026-11-24), a time (2026-11-24T08:00:00Z), so long ago "
	    "(90m, 24h, 7d), or Unix milliseconds");
}

static int
read_limit(const struct command *k, struct ctl_args *a)
{
	a->limit_set = true;
	if (str_i64(str_of(optarg), &a->limit) == 0 && a->limit > 0)
		return -1;
	return bad_value(k, "limit", "a number above 0");
}

static int
read_format(const struct command *k, struct ctl_args *a)
{
	static const char *const names[] = { [FORMAT_TABLE] = "table",
		[FORMAT_JSON] = "json",
		[FORMAT_CSV] = "csv" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(optarg, names[i]) == 0) {
			a->format = (enum ctl_format)i;
			return -1;
		}
	return bad_value(k, "format", "table, json or csv");
}

/* Where the values go that are taken as they are. */
static const struct {
	int option;
	bool is_text; /* else a flag */
	size_t at;
} plain[] = {
	{ OPT_DATA, true, offsetof(struct ctl_args, data_dir) },
	{ OPT_KEY_FILE, true, offsetof(struct ctl_args, admin_key_file) },
	{ OPT_OUTPUT, true, offsetof(struct ctl_args, output) },
	{ OPT_MODEL, true, offsetof(struct ctl_args, model) },
	{ OPT_PROVIDER, true, offsetof(struct ctl_args, provider) },
	{ OPT_ACCOUNT, true, offsetof(struct ctl_args, account) },
	{ OPT_API_KEY, true, offsetof(struct ctl_args, api_key_hash) },
	{ OPT_JSON, false, offsetof(struct ctl_args, json) },
	{ OPT_FULL, false, offsetof(struct ctl_args, full) },
	{ OPT_FAILED, false, offsetof(struct ctl_args, failed) },
	{ OPT_FOLLOW, false, offsetof(struct ctl_args, follow) },
};

static bool
read_plain(int c, struct ctl_args *a)
{
	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
		void *to = (char *)a + plain[i].at;

		if (plain[i].option != c)
			continue;
		if (plain[i].is_text)
			*(const char **)to = optarg;
		else
			*(bool *)to = true;
		return true;
	}
	return false;
}

static int
read_option(
    const struct command *k, int c, char *const *argv, struct ctl_args *a)
{
	if (read_plain(c, a))
		return -1;
	switch (c) {
	case OPT_HELP:
		command_usage(stdout, k);
		printf("\nTo %s.\n%s", k->does, k->help);
		return EXIT_OK;
	case OPT_FROM:
		return read_time(k, "from", &a->from_ms, &a->from_set);
	case OPT_TO:
		return read_time(k, "to", &a->to_ms, &a->to_set);
	case OPT_LIMIT:
		return read_limit(k, a);
	case OPT_FORMAT:
		return read_format(k, a);
	default:
		bad_argument(k->name, k->letters, c, argv);
		command_usage(stderr, k);
		return EXIT_USAGE;
	}
}

/* ---- the command line ---------------------------------------------------- */

/*
 * The arguments of a command into *a.  Returns -1 to go on, else the exit
 * code.
 */
static int
parse_command(
    const struct command *k, int argc, char **argv, struct ctl_args *a)
{
	int c, code;

	optind = 0; /* begin anew, as GNU's getopt has it */
	while (
	    (c = getopt_long(argc, argv, k->letters, k->options, NULL)) != -1)
		if ((code = read_option(k, c, argv, a)) != -1)
			return code;
	a->words = argv + optind;
	a->n_words = argc - optind;
	if (a->n_words < k->words) {
		fprintf(stderr, "cpactl %s: an argument is missing\n", k->name);
		command_usage(stderr, k);
		return EXIT_USAGE;
	}
	if (a->n_words > k->words) {
		fprintf(stderr, "cpactl %s: unexpected argument \"", k->name);
		ctl_put_text(stderr, a->words[k->words]);
		fputs("\"\n", stderr);
		command_usage(stderr, k);
		return EXIT_USAGE;
	}
	return -1;
}

static int
run(const struct command *k, const struct ctl_args *a)
{
	struct cfg cfg;
	struct err e;
	int code;

	if (cfg_load(&cfg, a->data_dir, &e) != 0)
		return ctl_fail(k->name, "%s", e.text);
	code = k->run(&cfg, a);
	cfg_free(&cfg);
	return code;
}

static const struct command *
find_command(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
	return NULL;
}

/* Options before the command, the command, its arguments; then do it. */
static int
command_line(int argc, char **argv)
{
	struct ctl_args a = { .data_dir = NULL };
	const struct command *k;
	int c, code;

	opterr = 0;
	/* "+": what follows the command is the command's own */
	while (
	    (c = getopt_long(argc, argv, "+:", global_options, NULL)) != -1) {
		switch (c) {
		case OPT_DATA:
			a.data_dir = optarg;
			break;
		case OPT_HELP:
			usage(stdout);
			return EXIT_OK;
		case OPT_VERSION:
			puts("cpactl " CPA_MANAGER_VERSION);
			return EXIT_OK;
		default:
			bad_argument("", "", c, argv);
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (optind == argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	argc -= optind;
	argv += optind;
	if ((k = find_command(argv[0])) == NULL) {
		fputs("cpactl: unknown command \"", stderr);
		ctl_put_text(stderr, argv[0]);
		fputs("\"\n", stderr);
		usage(stderr);
		return EXIT_USAGE;
	}
	if ((code = parse_command(k, argc, argv, &a)) != -1)
		return code;
	return run(k, &a);
}

int
main(int argc, char **argv)
{
	int code;

	/* whoever had enough of our output needs no message about it */
	(void)signal(SIGPIPE, SIG_DFL);
	log_open("cpactl", LOG_WARN);
	umask(0027);
	code = command_line(argc, argv);
	/* a key that nobody saw, a report that a full disk cut off */
	if (fflush(stdout) == EOF || ferror(stdout)) {
		fputs("cpactl: the output could not be written\n", stderr);
		return EXIT_FAILED;
	}
	return code;
}
