/*
 * cpactl: command line and table of commands.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
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

static const struct command commands[] = {
	{ "events", " tail|query [OPTION ...]",
	    "show events: the last to arrive, or those that fit",
	    "tail shows the last 20 in the order of arrival; with -f or "
	    "--follow it goes on\n"
	    "with those that come.  query shows the newest first.\n\n"
	    "  --from TIME, --to TIME  query: 2026-11-24, RFC 3339, or 90m, "
	    "24h, 7d ago\n"
	    "  --model M, --provider P, --account A, --failed\n"
	    "  --api-key-hash H        or how it begins\n"
	    "  --limit N               20 unless told otherwise\n"
	    "  --format table|json|csv\n",
	    events_options, ":f", 1, ctl_events },
	{ "export", " [-o FILE] [--from TIME] [--to TIME] [--full]",
	    "write every event as a line of JSON, oldest first",
	    "A FILE that ends in .gz or .zst is compressed; it gets its name "
	    "once it is\n"
	    "complete.  --full adds the tiers asked for and given and the "
	    "cache mode.\n"
	    "TIME: 2026-11-24, RFC 3339, or 90m, 24h, 7d ago.\n",
	    export_options, ":o:", 0, ctl_export },
	{ "import", " FILE",
	    "store the events of an export, of a queue or of a snapshot",
	    "FILE may be of any size, compressed with gzip or zstd, and \"-\" "
	    "for standard\n"
	    "input.  collectord does the work; what is there already is left "
	    "alone.  Exit\n"
	    "code 1 when something could not be read.\n",
	    import_options, ":", 1, ctl_import },
	{ "reset-admin-key", " [--admin-key-file FILE]",
	    "replace the admin key, at once and while everything runs",
	    "The new key is made and shown once, or taken from FILE (one "
	    "line of at\n"
	    "least 16 characters; /dev/stdin serves).  The old one opens "
	    "nothing any more.\n",
	    reset_options, ":", 0, ctl_reset_admin_key },
	{ "status", " [--json]", "show what is stored and what collectord does",
	    "Exit code 0: all is well; 3: collectord is stopped or in error; "
	    "1: nothing\n"
	    "can be said.\n",
	    status_options, ":", 0, ctl_status },
	{ "verify", "", "check everything that is stored",
	    "Reads only, at any time.  A line a check: \"ok\", or what is "
	    "wrong; exit code 1\n"
	    "when anything is.\n",
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

void
ctl_put_text(FILE *to, const char *text)
{
	struct str rest = str_of(text);

	while (rest.n > 0) {
		uint32_t code = 0;
		int n = utf8_next(rest, &code);

		if (n < 1 || code < 0x20 || (code >= 0x7f && code < 0xa0))
			fputc('?', to);
		else
			fwrite(rest.p, (size_t)n, 1, to);
		n = n < 1 ? 1 : n;
		rest.p += n;
		rest.n -= (size_t)n;
	}
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
bad_argument(const char *of, int c, char *const *argv)
{
	fprintf(stderr, "cpactl%s%s: %s \"", of[0] != '\0' ? " " : "", of,
	    c == ':' ? "nothing follows" : "unknown option");
	ctl_put_text(stderr, argv[optind - 1]);
	fputs("\"\n", stderr);
}

static int
bad_value(
    const char *of, const char *option, const char *value, const char *wanted)
{
	fprintf(stderr, "cpactl %s: --%s \"", of, option);
	ctl_put_text(stderr, value);
	fprintf(stderr, "\": must be %s\n", wanted);
	return EXIT_USAGE;
}

static int
read_time(const char *of, const char *option, int64_t *out, bool *set)
{
	*set = true;
	if (when_parse(optarg, clock_now_ms(), out) == 0)
		return -1;
	return bad_value(of, option, optarg,
	    "a day (2026-11-24), a time in RFC 3339, or 90m, 24h, 7d for so "
	    "long ago");
}

static int
read_limit(const char *of, struct ctl_args *a)
{
	a->limit_set = true;
	if (str_i64(str_of(optarg), &a->limit) == 0 && a->limit > 0)
		return -1;
	return bad_value(of, "limit", optarg, "a number above 0");
}

static int
read_format(const char *of, struct ctl_args *a)
{
	if (strcmp(optarg, "table") == 0)
		a->format = FORMAT_TABLE;
	else if (strcmp(optarg, "json") == 0)
		a->format = FORMAT_JSON;
	else if (strcmp(optarg, "csv") == 0)
		a->format = FORMAT_CSV;
	else
		return bad_value(of, "format", optarg, "table, json or csv");
	return -1;
}

/* One option.  Returns -1 to go on, else the exit code. */
static int
read_option(
    const struct command *k, int c, char *const *argv, struct ctl_args *a)
{
	switch (c) {
	case OPT_DATA:
		a->data_dir = optarg;
		break;
	case OPT_HELP:
		command_usage(stdout, k);
		printf("\nTo %s.\n%s", k->does, k->help);
		return EXIT_OK;
	case OPT_JSON:
		a->json = true;
		break;
	case OPT_KEY_FILE:
		a->admin_key_file = optarg;
		break;
	case OPT_OUTPUT:
		a->output = optarg;
		break;
	case OPT_FROM:
		return read_time(k->name, "from", &a->from_ms, &a->from_set);
	case OPT_TO:
		return read_time(k->name, "to", &a->to_ms, &a->to_set);
	case OPT_FULL:
		a->full = true;
		break;
	case OPT_MODEL:
		a->model = optarg;
		break;
	case OPT_PROVIDER:
		a->provider = optarg;
		break;
	case OPT_ACCOUNT:
		a->account = optarg;
		break;
	case OPT_API_KEY:
		a->api_key_hash = optarg;
		break;
	case OPT_FAILED:
		a->failed = true;
		break;
	case OPT_FOLLOW:
		a->follow = true;
		break;
	case OPT_LIMIT:
		return read_limit(k->name, a);
	case OPT_FORMAT:
		return read_format(k->name, a);
	default:
		bad_argument(k->name, c, argv);
		command_usage(stderr, k);
		return EXIT_USAGE;
	}
	return -1;
}

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
			bad_argument("", c, argv);
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
