# Turns sql/*.sql and sql/schema/NNN_*.sql into C.
#
# A file of statements holds blocks that begin with "-- name: some_name"; a
# schema file is one script.  mode=header prints the enum of statements and,
# for each parameter, its number in the order of first appearance, which is
# how SQLite numbers them; mode=text prints the two tables of text.
# Works in mawk, Debian's default.

function die(msg) {
	printf "%s:%d: %s\n", FILENAME, FNR, msg > "/dev/stderr"
	failed = 1
	exit 1
}

# One source line as a C string literal.
function literal(s,    i, c, out) {
	out = ""
	for (i = 1; i <= length(s); i++) {
		c = substr(s, i, 1)
		if (c == "\\" || c == "\"")
			out = out "\\" c
		else if (c == "\t")
			out = out "\\t"
		else
			out = out c
	}
	return "\"" out "\\n\""
}

# Number the :parameters of a line; quoted text and comments are skipped.
function parameters(s,    i, c, name, quoted) {
	quoted = 0
	for (i = 1; i <= length(s); i++) {
		c = substr(s, i, 1)
		if (c == "'")
			quoted = !quoted
		if (quoted)
			continue
		if (c == "-" && substr(s, i, 2) == "--")
			return
		if (c != ":" || substr(s, i + 1, 1) !~ /[a-z]/)
			continue
		name = ""
		for (i++; i <= length(s) && substr(s, i, 1) ~ /[a-z0-9_]/; i++)
			name = name substr(s, i, 1)
		i--
		if (!((stmt, name) in number)) {
			number[stmt, name] = ++count[stmt]
			order[stmt, count[stmt]] = name
		}
	}
}

FNR == 1 {
	stmt = ""
	schema = (FILENAME ~ /\/schema\//)
	if (schema) {
		n = split(FILENAME, part, "/")
		nschema++
		if (substr(part[n], 1, 3) + 0 != nschema)
			die("schema files must be numbered 001, 002, ... without a hole")
	}
}

schema {
	schema_text[nschema] = schema_text[nschema] "\n\t" literal($0)
	next
}

/^-- name: / {
	stmt = $3
	if (stmt !~ /^[a-z][a-z0-9_]*$/)
		die("bad statement name " stmt)
	if (stmt in text)
		die("statement " stmt " is defined twice")
	names[++nstmt] = stmt
	text[stmt] = ""
	next
}

/^[ \t]*(--.*)?$/ { next }

{
	if (stmt == "")
		die("text before the first -- name:")
	text[stmt] = text[stmt] "\n\t" literal($0)
	parameters($0)
}

END {
	if (failed)
		exit 1
	print "/* Made by tools/sql2c.awk from sql/; do not edit. */"
	if (mode == "header") {
		print "#ifndef SQL_H\n#define SQL_H\n"
		print "enum stmt_id {"
		for (i = 1; i <= nstmt; i++)
			printf "\tSQL_%s,\n", names[i]
		print "\tSQL__MAX\n};\n"
		print "/* P_<statement>_<parameter>: number to bind at */\nenum {"
		for (i = 1; i <= nstmt; i++)
			for (j = 1; j <= count[names[i]]; j++)
				printf "\tP_%s_%s = %d,\n", names[i], order[names[i], j], j
		print "\tP__NONE = 0\n};\n"
		printf "#define SCHEMA_VERSION %d\n\n", nschema
		print "extern const char *const stmt_text[SQL__MAX];"
		print "extern const char *const stmt_name[SQL__MAX];"
		print "extern const char *const schema_text[SCHEMA_VERSION];"
		print "\n#endif"
	} else {
		print "#include \"sql.h\"\n"
		print "const char *const stmt_text[SQL__MAX] = {"
		for (i = 1; i <= nstmt; i++)
			printf "[SQL_%s] =%s,\n", names[i], text[names[i]]
		print "};\n\nconst char *const stmt_name[SQL__MAX] = {"
		for (i = 1; i <= nstmt; i++)
			printf "[SQL_%s] = \"%s\",\n", names[i], names[i]
		print "};\n\nconst char *const schema_text[SCHEMA_VERSION] = {"
		for (i = 1; i <= nschema; i++)
			printf "[%d] =%s,\n", i - 1, schema_text[i]
		print "};"
	}
}
