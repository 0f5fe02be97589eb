# Settings of a build that a packager changes; each can be given on the
# command line as well: make PREFIX=/usr CFLAGS='-O2 -g'.

# where `make install` puts things
PREFIX ?= /usr/local
DESTDIR ?=
BINDIR ?= $(PREFIX)/bin
LIBEXECDIR ?= $(PREFIX)/libexec/cpa-manager
DATADIR ?= $(PREFIX)/share/cpa-manager
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/cpa-manager
SYSCONFDIR ?= /etc
UNITDIR ?= /usr/lib/systemd/system

# tools
CC ?= cc
CXX ?= c++
PKG_CONFIG ?= pkg-config
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
NPM ?= npm

# added after our own flags, so that they win
CFLAGS ?=
CXXFLAGS ?=
LDFLAGS ?=

# release, debug, asan, tsan, fuzz; each has its own folder below build/
VARIANT ?= release
# yes: warnings are errors (the test run sets it)
WERROR ?= no
# no: never install packages
DEPS ?= yes
