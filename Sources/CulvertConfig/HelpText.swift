/// `--help`, written by hand: the tunnel first, as ArgumentParser cannot put it.
enum HelpText {
    static let relayOptions: Set<String> = ["--io", "--threads", "--memory", "--drain", "--version", "--help"]

    static let tunnel = """
        culvert: carries TCP connections through SSH, and comes back by itself

        Usage: culvert [options] [-L …] [-R …] [-D …] [-W …] [user@]host
               culvert up FILE               (see culvert up --help)
               culvert relay -L …            (see culvert relay --help)

        Examples:
          culvert -L 5432:db.internal:5432 user@server
              connect here to port 5432, and the server dials db.internal:5432
          culvert -R 8822:localhost:22 user@server
              connect at the server to port 8822, and this machine dials its own port 22
          culvert prod
              a Host of ~/.ssh/config, with its HostName, User, IdentityFile, LocalForward …
          culvert -D 1080 user@server
              a SOCKS proxy here; the server looks names up and dials
          ssh -o ProxyCommand='culvert -W %h:%p user@server' target
              ssh to a host that only the server reaches

        Forwards (any number of each; an IPv6 address stands in brackets):
          -L [bind_address:]port:host:hostport    listen here, dial from the server
          -R [bind_address:]port:host:hostport    listen at the server, dial from here
                                                  /path stands for a socket in place of a port (-D too) or of
                                                  host:hostport;
                                                  port 0: one that is free, and culvert says which
          -R [bind_address:]port                  listen at the server; clients there say in SOCKS what to dial from
                                                  here (-o PermitRemoteOpen=host:port limits it)
          -D [bind_address:]port                  listen here; clients say in SOCKS 4, 4a or 5 what to dial from the
                                                  server
          -W host:port                            standard input and output, dialled from the server; culvert ends with
                                                  them, and does not come back
          -g                    a -L without bind address listens on every address, not on loopback only

        Connection:
          -p PORT               the server's port (22)
          -J [USER@]HOST[:PORT][,…]   through these jump hosts, each logged in to with settings of its own
          -l USER               log in as USER (also user@host, ssh://user@host:port)
          -i FILE               log in with this key, and with its certificate FILE-cert.pub; may be repeated
          -b ADDRESS            connect from this address
          -B INTERFACE          connect from this interface's address
          -4, -6                IPv4 only, IPv6 only
          -c LIST, -m LIST      ciphers, MACs; of a list what culvert has is used (-Q prints that)
          -o KEY=VALUE          a setting of ssh_config(5); may be repeated, the first value wins
                                (ProxyCommand='nc %h %p' runs a program as the connection)
                                ServerAliveInterval is 15 here, where ssh has 0
          -F FILE               settings from FILE, not from ~/.ssh/config and /etc/ssh/ssh_config; none: from neither
                                culvert's own stand there as CulvertLinks, CulvertHold, CulvertKnocks, CulvertDrain,
                                CulvertPersist, CulvertEngine, CulvertIO, CulvertThreads, CulvertMemory and
                                CulvertNoDelay, behind a line IgnoreUnknown Culvert*
          -P TAG                a tag for `Match tagged` of the files
          -G                    print the settings of the host, as ssh -G does, and end
          -Q QUERY              print what the native engine has: cipher, mac, kex, key, sig, …; help prints all queries
          --links N             SSH connections to the server, as one tunnel (1)
          --hold TIME           how long a new connection waits while the link is down (30s)
          --knocks N            once something has failed: at most N attempts in any 30 s at one address, so that no
                                limit of the server's is met; 0: no limit, for servers of your own (5)
          --drain TIME          how long the end may take: what has come whole reaches its reader meanwhile; a second
                                signal ends at once (5s)
          --persist             keep trying when the first connection fails, or no port could be listened on
          --nodelay             have sshd send small packets at once, on long or busy paths: it does so only after a
                                command, so culvert runs `true` at the server, once a link
          --engine ENGINE       what speaks SSH: native, or libssh2 for servers with old algorithms only (native)

        Running:
          -f                    to the background once the forwards stand
          -N                    stay connected without a forward too
          sleep TIME            behind the host: end after that time, once no connection is open; culvert runs no
                                other command
          --port-file FILE      write each forward's port to FILE once they stand (-L 0:…, -D 0 and -R 0:… choose one)
          -v, -vv, -vvv         say more; -q say nothing
          --pid-file FILE       FILE has the process's number while it runs
          --no-control          no socket at which culvert status may ask
          --metrics [ADDR:]PORT serve /metrics (Prometheus), /healthz and /readyz there; or at a socket /PATH
          -M -S PATH            take commands at the socket PATH (%C, %h, %p, %r … stand in it), as an ssh master does
          -O COMMAND -S PATH    say that to such a tunnel, or to an ssh master: check, stop, exit; forward and cancel with
                                -L, -R, -D; ssh -O says the same
          -S PATH               a running ssh master there serves where a login lacks a password or second factor that
                                nobody can give
          -M PORT[:ECHO_PORT]   takes autossh's place: AUTOSSH_GATETIME, _PIDFILE, _LOGFILE, _POLL, _MAXSTART, … count,
                                -f goes to the background at once; no port is opened for it
          -E FILE, -y           log to FILE, to the system's log
          --io auto|uring|epoll the kernel's interface (auto)
          --threads N           at most N worker threads
          --memory SIZE         ceiling of buffers (256M)
          -V, --version         print the version
          -h, --help            print this
          ssh's other options are accepted where they mean nothing for a tunnel (-n -T, and with a note at -v
          -A -C -t -X …) and refused where leaving them out would change what you get (-w …).

        Subcommands:
          up, check             run the tunnels of a file in one process; say what that would do
          status                how the tunnels that run are (culvert status --help)
          relay                 forward plain TCP connections, without SSH
                                (a host of such a name is written user@relay or ssh://relay)

        Exit codes:
        \(exitCodes)
        """

    static let relay = """
        culvert relay: forwards plain TCP connections, without SSH

        Usage: culvert relay [options] -L [bind_address:]port:host:hostport …

        Example:
          culvert relay -L 5432:db.internal:5432 -L '[::1]:8080:web:80'

        Options:
          -L [bind_address:]port:host:hostport    listen here, dial host:hostport; may be repeated
                                                  also /path in place of a port or host:hostport
          -g                    a -L without bind address listens on every address, not on loopback only
          -v, -vv, -vvv         say more; -q say nothing
          -E FILE, -y           log to FILE, to the system's log
          --io auto|uring|epoll the kernel's interface (auto)
          --threads N           at most N worker threads
          --memory SIZE         ceiling of buffers (256M)
          --drain TIME          how long the end may take: what has come whole reaches its reader meanwhile; a second
                                signal ends at once (5s)
          -V, --version         print the version
          -h, --help            print this

        Exit codes:
        \(exitCodes)
        """

    static let tunnelFile = """
        culvert up, culvert check: the tunnels of a file

        Usage: culvert up [options] FILE [tunnel …]      runs them in one process, until it is told to end
               culvert check [options] FILE [tunnel …]   says what up would do, and connects to nothing

        Example, tunnels.toml:
          [defaults]                        # for every tunnel that does not say otherwise
          ServerAliveInterval = 10

          [tunnel.db]
          destination = "ops@bastion"
          local = ["5432:db.internal:5432", "6379:cache.internal:6379"]
          links = 4

          [tunnel.home]
          destination = "ssh://me@server.example:2222"
          remote = "8822:localhost:22"
          IdentityFile = "~/.ssh/home"

        A tunnel's keys: destination, local (-L), remote (-R), dynamic (-D), the long options of culvert without their
        dashes (links, hold, knocks, drain, nodelay, engine, io, threads, memory) and the keys of ssh_config(5). What may come several
        times is an array. Each tunnel fails and comes back on its own, as with --persist. Only those named run, when some
        are.

        Options:
          -f                    to the background once every tunnel stands, or waits for its next attempt
          --pid-file FILE       FILE has the process's number while it runs
          --no-control          no socket at which culvert status may ask
          --metrics [ADDR:]PORT serve /metrics (Prometheus), /healthz and /readyz there; or at a socket /PATH
          -v, -vv, -vvv         say more; -q say nothing
          -E FILE, -y           log to FILE, to the system's log
          -V, --version         print the version
          -h, --help            print this

        Exit codes:
        \(exitCodes)
        """

    static let status = """
        culvert status: how the tunnels that run are

        Usage: culvert status [options] [tunnel …]

        Examples:
          culvert status                    every tunnel, a line each; under one that is down why, and when it is tried next
          culvert status db                 its links, its forwards, and each connection with what it waits for
          culvert status --json | jq        the same for programs
          culvert status --quiet            says nothing; the exit status tells, as a health check wants it

        Options:
          --json                everything, in one document
          -w, --watch           show it every second until Ctrl-C
          --sort KEY            by name, state, since, connections, out, in or destination
          -q, --quiet           say nothing
          -V, --version         print the version
          -h, --help            print this

        It asks each culvert of yours at its control socket (root: services' too): in $RUNTIME_DIRECTORY, in
        $XDG_RUNTIME_DIR/culvert, or in /run/culvert. A tunnel from a command line has its destination for a name.

        Exit codes:
            0  all that were asked for are up
            3  something is down, or a tunnel of that name does not run
            4  no culvert runs
           64  the command line is wrong
        """

    private static let exitCodes = ExitCode.allCases.map { code in
        let number = String(code.rawValue)
        return "  " + String(repeating: " ", count: 3 - number.count) + number + "  " + code.meaning
    }.joined(separator: "\n")
}
