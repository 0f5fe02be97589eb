#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "log.h"

static const struct {
	const char *name, *arguments, *does;
	ctl_command *run;
} commands[] = {
	{ "reset-admin-key", "[--admin-key-file FILE]",
	    "make a new admin key, or take the one in FILE; at once",
	    ctl_reset_admin_key },
	{ "status", "[--json]", "what is stored, what collectord does",
	    ctl_status },
	{ "verify", "", "check everything that is stored", ctl_verify },
};

#define COMMANDS (sizeof commands / sizeof *commands)

static void
usage(FILE *to)
{
	fputs("usage: cpactl [--data DIR] COMMAND [ARGUMENT ...]\n"
	      "       cpactl --version | --help\n\n",
	    to);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(to, "  %s%s%s\n        %s\n", commands[i].name,
		    commands[i].arguments[0] != '\0' ? " " : "",
		    commands[i].arguments, commands[i].does);
	fputs("\n  --data DIR   data directory (else USAGE_DATA_DIR or the "
	      "config file)\n",
	    to);
}

int
ctl_fail(const char *command, const char *text)
{
	fprintf(stderr, "cpactl %s: %s\n", command, text);
	return EXIT_FAILED;
}

int
ctl_usage(const char *command, const char *argument)
{
	fprintf(stderr, "cpactl %s: unexpected argument \"%s\"\n\n", command,
	    argument);
	usage(stderr);
	return EXIT_USAGE;
}

int
ctl_open(const struct cfg *c, struct db *db, enum db_mode mode)
{
	struct stat st;
	struct err e;

	if (stat(c->db_path, &st) == -1) {
		fprintf(stderr,
		    "cpactl: no database at %s; name the data directory with "
		    "--data DIR\n",
		    c->db_path);
		return -1;
	}
	if (db_open(db, c->db_path, mode, &e) != 0 ||
	    db_schema_check(db, &e) != 0) {
		fprintf(stderr, "cpactl: %s\n", e.text);
		db_close(db);
		return -1;
	}
	return 0;
}

static int
run(const char *data_dir, int argc, char **argv)
{
	struct cfg cfg;
	struct err e;
	int code;

	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(argv[0], commands[i].name) != 0)
			continue;
		if (argc > 1 && strcmp(argv[1], "--help") == 0) {
			usage(stdout);
			return EXIT_OK;
		}
		if (cfg_load(&cfg, data_dir, &e) != 0)
			return ctl_fail(argv[0], e.text);
		code = commands[i].run(&cfg, argc, argv);
		cfg_free(&cfg);
		return code;
	}
	fprintf(stderr, "cpactl: unknown command \"%s\"\n\n", argv[0]);
	usage(stderr);
	return EXIT_USAGE;
}

int
main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "data", required_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	const char *data_dir = NULL;
	int c;

	log_open("cpactl", LOG_WARN);
	umask(0027);
	/* "+": what follows the command is the command's own */
	while ((c = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
		switch (c) {
		case 'd':
			data_dir = optarg;
			break;
		case 'h':
			usage(stdout);
			return EXIT_OK;
		case 'V':
			puts("cpactl " CPA_MANAGER_VERSION);
			return EXIT_OK;
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (optind == argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	return run(data_dir, argc - optind, argv + optind);
}
