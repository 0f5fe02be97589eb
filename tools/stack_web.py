"""What tools/stack needs to know about nginx and Apache.

Their configuration is what conf/ ships, copied to DIR/run with our places in
the stead of an installation's, within a main file that lets the server run in
the foreground, for anybody, writing nothing elsewhere.
"""

import grp
import os
import pwd
import shutil
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
INSTALLED = "/usr/local/share/cpa-manager"  # as the files in conf/ have it
APACHE_MODULES = "/usr/lib/apache2/modules"
# for a page of somebody else's, given by PANEL_PATH without a policy
FOREIGN_PAGE_POLICY = ("default-src 'self' 'unsafe-inline' data: blob:; "
                       "frame-ancestors 'none'")


class Trouble(Exception):
    """Why the whole cannot run, for one line on standard error."""


def find_program(name):
    path = shutil.which(name, path=PATH)
    if path is None:
        raise Trouble(f"{name} is not installed; make deps installs it")
    return path


def need_file(path, what="run make first"):
    if not os.path.isfile(path):
        raise Trouble(f"{path} is missing; {what}")
    return path


def url_host(address):
    """An address as it stands in a URL and in configuration files."""
    return f"[{address}]" if ":" in address else address


def web_user():
    """The user that a web server started as root gives its workers."""
    for name in ("www-data", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Trouble("no user for the web server: neither www-data nor nobody")


class Web:
    """Writes the configuration of the web server that was asked for.

    run: where the files go.  shared: where the server's workers may read and
    write; page and socket are there.
    """

    def __init__(self, options, run, shared):
        self.options, self.run, self.shared = options, run, shared

    def copy_page(self):
        """Put page and policy where the web server can read them.

        Copies, so that the two stay a pair when the page is built anew while
        we run.
        """
        own = os.environ.get("PANEL_PATH", "").strip()
        page = own or os.path.join(self.options.build, "management.html")
        need_file(page, "PANEL_PATH names it" if own else "run make first")
        target = os.path.join(self.shared, "page", "management.html")
        for suffix in ("", ".gz", ".br"):
            if os.path.isfile(page + suffix):
                shutil.copy2(page + suffix, target + suffix)
                os.chmod(target + suffix, 0o644)
        policy = os.path.splitext(page)[0] + ".csp"
        target = os.path.splitext(target)[0] + ".csp"
        if own and not os.path.exists(policy):
            with open(target, "w", encoding="ascii") as file:
                file.write(FOREIGN_PAGE_POLICY)
        else:
            shutil.copyfile(need_file(policy), target)

    def fill_in(self, name, places):
        """Copy a file of conf/ to DIR/run, with our places in it."""
        with open(os.path.join(ROOT, "conf", name), encoding="utf-8") as file:
            text = file.read()
        for installed, ours in places:
            if installed not in text:
                raise Trouble(f"conf/{name} lost its {installed}")
            text = text.replace(installed, ours)
        self.write(os.path.basename(name), text)

    def write(self, name, text):
        with open(os.path.join(self.run, name), "w",
                  encoding="utf-8") as file:
            file.write(text)

    def configure(self):
        """Write the configuration.  Returns the command."""
        for path in (self.run, self.shared):
            if any(c in path for c in " \t\"'\\;{}$#"):
                raise Trouble(f"{path} cannot stand in a web server's "
                              "configuration; choose another --data")
        self.copy_page()
        headers = subprocess.run(
            [os.path.join(ROOT, "tools/page-headers"), self.options.web,
             os.path.join(self.shared, "page", "management.csp")],
            check=True, capture_output=True, text=True)
        self.write(f"page-headers.{self.options.web}", headers.stdout)
        if self.options.web == "nginx":
            return self.configure_nginx()
        return self.configure_apache()

    def listen(self):
        address = url_host(self.options.bind)
        return ("127.0.0.1:18317", f"{address}:{self.options.port}")

    def socket(self):
        return ("unix:/run/cpa-manager/fcgi.sock",
                f"unix:{self.shared}/fcgi.sock")

    def own(self, name):
        """A file that an installation has beside the page, we in DIR/run."""
        return (f"{INSTALLED}/{name}", f"{self.run}/{name}")

    def page(self):
        return (INSTALLED, os.path.join(self.shared, "page"))

    def configure_nginx(self):
        program = find_program("nginx")
        self.fill_in("nginx/cpa-manager.conf", [
            self.listen(), self.socket(), self.own("page-headers.nginx"),
            self.own("fastcgi-params.nginx"), self.page()])
        self.fill_in("nginx/fastcgi-params.nginx", [])
        user = ""
        if os.geteuid() == 0:
            workers = web_user()
            group = grp.getgrgid(workers.pw_gid).gr_name
            user = f"user {workers.pw_name} {group};\n"
        temp = "".join(f"\t{kind}_temp_path {self.shared}/tmp/{kind};\n"
                       for kind in ("client_body", "fastcgi", "proxy",
                                    "scgi", "uwsgi"))
        self.write("nginx.conf", f"""{user}daemon off;
pid {self.shared}/nginx.pid;
error_log stderr warn;
worker_processes auto;
events {{
	worker_connections 1024;
}}
http {{
	access_log off; # the application logs its requests
{temp}	include {self.run}/cpa-manager.conf;
}}
""")
        return [program, "-e", "stderr", "-p", self.shared, "-c",
                os.path.join(self.run, "nginx.conf")]

    def configure_apache(self):
        program = find_program("apache2")
        self.fill_in("apache/cpa-manager-proxy-fcgi.conf", [
            self.listen(), self.socket(), self.own("site.apache")])
        self.fill_in("apache/site.apache", [
            self.own("page-headers.apache"), self.page()])
        user = ""
        if os.geteuid() == 0:
            workers = web_user()
            user = f"User #{workers.pw_uid}\nGroup #{workers.pw_gid}\n"
        load = "".join(
            f"LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so\n"
            for name in ("mpm_event", "authz_core", "env",
                         "headers", "mime", "proxy", "proxy_fcgi",
                         "reqtimeout", "rewrite", "setenvif"))
        self.write("mime.types", "")
        self.write("apache2.conf", f"""{load}{user}ServerRoot {self.shared}
ServerName localhost
ServerTokens Prod
DefaultRuntimeDir {self.shared}
PidFile {self.shared}/apache2.pid
Mutex pthread
ErrorLog /dev/stderr
LogLevel warn
TypesConfig {self.run}/mime.types
Include {self.run}/cpa-manager-proxy-fcgi.conf
""")
        return [program, "-DFOREGROUND", "-f",
                os.path.join(self.run, "apache2.conf")]
