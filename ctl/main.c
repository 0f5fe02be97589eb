/*
 * cpactl: command line and table of commands.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/ctl.h"
#include "log.h"

enum { OPT_DATA = 1, OPT_HELP, OPT_VERSION, OPT_JSON, OPT_KEY_FILE };

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

struct command {
	const char *name, *arguments;
	const char *does; /* one line for the list of commands */
	const char *help; /* the rest, for its own --help */
	const struct option *options;
	ctl_command *run;
};

static const struct command commands[] = {
	{ "reset-admin-key", " [--admin-key-file FILE]",
	    "replace the admin key, at once and while everything runs",
	    "The new key is made and shown once, or taken from FILE (one "
	    "line of at\n"
	    "least 16 characters; /dev/stdin serves).  The old one opens "
	    "nothing any more.\n",
	    reset_options, ctl_reset_admin_key },
	{ "status", " [--json]", "show what is stored and what collectord does",
	    "Exit code 0: all is well; 3: collectord is stopped or in error; "
	    "1: nothing\n"
	    "can be said.\n",
	    status_options, ctl_status },
	{ "verify", "", "check everything that is stored",
	    "Reads only, at any time.  A line a check: \"ok\", or what is "
	    "wrong; exit code 1\n"
	    "when anything is.\n",
	    verify_options, ctl_verify },
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

/*
 * The arguments of a command into *a.  Returns -1 to go on, else the exit
 * code.
 */
static int
parse_command(
    const struct command *k, int argc, char **argv, struct ctl_args *a)
{
	int c;

	optind = 0; /* begin anew, as GNU's getopt has it */
	while ((c = getopt_long(argc, argv, ":", k->options, NULL)) != -1) {
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
		default:
			bad_argument(k->name, c, argv);
			command_usage(stderr, k);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "cpactl %s: unexpected argument \"", k->name);
		ctl_put_text(stderr, argv[optind]);
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
