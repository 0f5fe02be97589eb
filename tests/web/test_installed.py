"""What `make install` puts there is complete, runs as it is, and can be removed again."""
import contextlib
import http.client
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile

import pytest
from harness import ADMIN_KEY, ROOT, free_port, wait_for

NGINX, APACHE = "/usr/sbin/nginx", "/usr/sbin/apache2"


def make(*args):
    subprocess.run(["make", "--no-print-directory", *args], cwd=ROOT, check=True, capture_output=True)


def files_below(path):
    return sorted(os.path.relpath(os.path.join(d, f), path) for d, _, names in os.walk(path) for f in names)


@pytest.fixture(scope="module")
def place():
    """An installation under a folder of its own, where a web server's user can reach it."""
    top = tempfile.mkdtemp(prefix="cpam-installed-")
    os.chmod(top, 0o755)
    make("install", f"PREFIX={top}/usr", f"SYSCONFDIR={top}/etc")
    yield top
    make("uninstall", f"PREFIX={top}/usr", f"SYSCONFDIR={top}/etc")
    assert files_below(os.path.join(top, "usr")) == []
    shutil.rmtree(top)


def example(place, name):
    with open(os.path.join(place, "usr/share/doc/cpa-manager/examples", name), encoding="utf-8") as f:
        return f.read()


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def test_a_package_is_built_below_destdir(tmp_path):
    make("install", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    share = "usr/share/cpa-manager"
    for name in ("usr/bin/cpactl", "usr/libexec/cpa-manager/collectord", "usr/libexec/cpa-manager/cpa-manager.fcgi"):
        assert os.access(tmp_path / name, os.X_OK), name
    for name in ("management.html", "management.html.gz", "management.html.br"):
        assert (tmp_path / share / name).read_bytes() == open(os.path.join(ROOT, "build", name), "rb").read()
    assert "Content-Security-Policy" in (tmp_path / share / "page-headers.nginx").read_text()
    for name in files_below(tmp_path):
        if name.startswith(("usr/share/cpa-manager/", "usr/share/doc/cpa-manager/examples/")) and ".html" not in name:
            text = (tmp_path / name).read_text()
            assert "/usr/local" not in text and str(tmp_path) not in text, name
    make("uninstall", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    assert files_below(tmp_path) == []


def test_nginx_takes_the_example_as_it_is(place, tmp_path):
    conf = write(tmp_path / "nginx.conf",
                 f"pid {tmp_path}/pid;\nevents {{ }}\nhttp {{\naccess_log off;\n" +
                 "".join(f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in ("client_body", "fastcgi", "proxy", "scgi", "uwsgi")) +
                 f"include {place}/usr/share/doc/cpa-manager/examples/cpa-manager.conf;\n}}\n")
    run = subprocess.run([NGINX, "-t", "-e", "stderr", "-c", str(conf)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def apache_conf(place, run, name, port):
    """A main file around an example, with the modules that the example says it needs."""
    text = example(place, name)
    needs = re.search(r"# Needs: a2enmod (.+)", text)[1].split()
    site = write(os.path.join(run, name), text.replace("127.0.0.1:18317", f"127.0.0.1:{port}"))
    user = f"User #{pwd.getpwnam('www-data').pw_uid}\nGroup www-data\n" if os.geteuid() == 0 else ""
    load = "".join(f"LoadModule {m}_module /usr/lib/apache2/modules/mod_{m}.so\n"
                   for m in ["mpm_event", "authz_core", "alias", "env", "setenvif", *needs])  # Debian's own come first
    fcgid = f"FcgidIPCDir {run}\nFcgidProcessTableFile {run}/shm\n" if "fcgid" in needs else ""
    return write(os.path.join(run, "apache2.conf"),
                 f"{load}{user}{fcgid}ServerRoot {run}\nServerName localhost\nDefaultRuntimeDir {run}\nPidFile {run}/pid\n"
                 f"ErrorLog /dev/stderr\nTypesConfig /dev/null\nInclude {site}\n")


def test_apache_takes_the_example_as_it_is(place, tmp_path):
    conf = apache_conf(place, str(tmp_path), "cpa-manager-proxy-fcgi.conf", free_port())
    run = subprocess.run([APACHE, "-t", "-f", conf], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@contextlib.contextmanager
def apache(conf, log):
    with open(log, "wb") as out:
        process = subprocess.Popen([APACHE, "-DFOREGROUND", "-f", conf], stderr=out, start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_apache_starts_the_application_itself(place):
    """mod_fcgid: a socket as descriptor 0, an almost empty environment, data of its own user."""
    port, data, run = free_port(), os.path.join(place, "data"), os.path.join(place, "run")
    for path in (data, run, os.path.join(place, "etc/cpa-manager")):
        os.makedirs(path)
    with open(os.path.join(place, "key"), "w", encoding="ascii") as f:
        f.write(ADMIN_KEY)
    if os.geteuid() == 0:
        user = pwd.getpwnam("www-data")
        for path in (data, run, os.path.join(place, "key")):
            os.chown(path, user.pw_uid, user.pw_gid)
    write(os.path.join(place, "etc/cpa-manager/config.json"),
          json.dumps({"dataDir": data, "adminKeyFile": os.path.join(place, "key")}))

    def get(path, **headers):
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            c.request("GET", path, headers=headers)
            answer = c.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 0, b""
        finally:
            c.close()

    log = os.path.join(place, "log")
    with apache(apache_conf(place, run, "cpa-manager-fcgid.conf", port), log):
        wait_for(lambda: get("/health")[0] == 200, 20, "the application")
        assert get("/management.html")[1] == open(os.path.join(ROOT, "build/management.html"), "rb").read()
        assert get("/status")[0] == 401
        status, body = get("/status", Authorization="Bearer " + ADMIN_KEY)
        assert status == 200 and json.loads(body)["dbPath"] == os.path.join(data, "usage.sqlite")
        assert get("/x/../health")[0] == get("//health")[0] == 400
        assert get("/v0/management/a%2Fb", Authorization="Bearer " + ADMIN_KEY)[0] in (400, 404)
    with open(log, encoding="utf-8", errors="replace") as f:
        assert "did not exit" not in f.read(), "it ends when it is asked to"
