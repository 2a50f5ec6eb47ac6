import CulvertPlan
import Testing

@testable import CulvertConfig

@Suite struct FlagTests {
    static let verbosity: [([String], Verbosity)] = [
        ([], .info), (["-v"], .debug1), (["-vv"], .debug2), (["-vvv"], .debug3), (["-vvvvv"], .debug3),
        (["-q"], .quiet),
        (["-v", "-q"], .quiet), (["-q", "-v"], .debug1), (["-qq"], .quiet), (["-q", "-oLogLevel=debug"], .quiet),
        (["-oLogLevel=error", "-vv"], .debug2), (["-oLogLevel=error", "-oLogLevel=debug"], .error),
    ]

    @Test(arguments: verbosity) func loudness(_ arguments: [String], _ expected: Verbosity) throws {
        #expect(try tunnel(arguments + ["-L1:a:2", "h"]).output.verbosity == expected)
    }

    @Test func flagsShow() throws {
        #expect(try settings("-f").process.background == .standing)
        #expect(try settings("-g").forwarding.gatewayPorts)
        #expect(try settings("-y").output.syslog && settings("-y").output.syslogFacility == 1)
        #expect(try settings("-y", "-o", "SyslogFacility=local3").output.syslogFacility == 19)
        #expect(try settings("-E", "/log", "-E", "/log2").output.logFile == "/log2")
        #expect(try settings("-C").notes == ["compression (-C) is not supported: the connection goes uncompressed"])
        #expect(try settings("-NnT").notes.isEmpty)
        let bound = try settings("-oBindInterface=b", "-B", "eth0", "-b", "127.0.0.1")
        #expect(bound.connection.bindInterface == "eth0" && bound.connection.bindAddress == "127.0.0.1")
        #expect(try settings("-oBindInterface=b", "-oBindInterface=c").connection.bindInterface == "b")
        #expect(try settings("--port-file", "~/p-%p").plan.portFile == "/home/ann/p-22")
        #expect(try settings().plan.portFile == nil)
        #expect(try settings("-F/dev/null", "-F", "none", "-J", "none").notes.isEmpty)
    }

    /// OpenSSH 9.2 lets these outrank -o, and the last of themselves win.
    @Test func someFlagsOutrankSettings() throws {
        #expect(try settings("-4", "-6").connection.addressFamily == .inet6)
        #expect(try settings("-6", "-4", "-oAddressFamily=inet6").connection.addressFamily == .inet)
        #expect(try settings("-oAddressFamily=inet6", "-4").connection.addressFamily == .inet)
        #expect(try settings("-b", "1.1.1.1", "-b2.2.2.2", "-oBindAddress=3.3.3.3").connection.bindAddress == "2.2.2.2")
        let ciphers = try settings("-oCiphers=aes128-ctr", "-c", "aes256-ctr").algorithms.ciphers
        #expect(ciphers?.names == ["aes256-ctr"])
        let macs = try settings("-m", "hmac-md5", "-mhmac-sha1", "-oMACs=hmac-sha2-256").algorithms.macs
        #expect(macs?.names == ["hmac-sha1"])
        #expect(try settings("-oGatewayPorts=no", "-g").forwarding.gatewayPorts)
    }

    static let meaningless: [([String], [String])] = [
        (["-A"], ["-A (agent forwarding) has no effect here: ignored"]),
        (
            ["-aakKMstxXY2"],
            [
                "-a (no agent forwarding) has no effect here: ignored",
                "-k (no GSSAPI credentials) has no effect here: ignored",
                "-K (GSSAPI credentials) has no effect here: ignored",
                "-s (a subsystem) has no effect here: ignored",
                "-t (a terminal) has no effect here: ignored",
                "-x (no X11 forwarding) has no effect here: ignored",
                "-X (X11 forwarding) has no effect here: ignored",
                "-Y (X11 forwarding) has no effect here: ignored",
                "-2 (protocol 2 is the only one) has no effect here: ignored",
                "-M (ControlMaster) has no effect without -S, or ControlPath: ignored",
            ]
        ),
        (
            ["-S", "none", "-e~"],
            ["-e (the escape character) has no effect here: ignored"]
        ),
    ]

    @Test(arguments: meaningless) func meaninglessFlagsLeaveANote(_ arguments: [String], _ notes: [String]) throws {
        #expect(try tunnel(arguments + ["-L1:a:2", "h"]).notes == notes)
    }

    static let noCommand =
        "'ls' after h: culvert runs no command there: leave it out, or use ssh for it (sleep TIME is understood: the"
        + " tunnel ends after it, once no connection is open)"

    static let refused: [(String, String)] = [
        ("-F f h", "f: no such file"),
        ("-P", "-P needs a value"),
        (
            "-O exit h", "-O exit: no ControlPath: give the master's socket with -S"
        ),
        (
            "-w 0:0 -L1:a:2 h",
            "-w 0:0: not supported: culvert carries connections and has no tunnel device: use ssh for it"
        ),
        (
            "-L1:a:2 -I /lib h",
            "-I /lib: not supported: load the library into an agent, whose keys culvert uses: ssh-add -s"
        ),
        (
            "-c aes256-gcm@opnssh.com h",
            "-c: Bad SSH2 cipher spec 'aes256-gcm@opnssh.com': no cipher is called 'aes256-gcm@opnssh.com':"
                + " did you mean aes256-gcm@openssh.com?"
        ),
        (
            "-c blowfish -L1:a:2 h",
            "-c: Bad SSH2 cipher spec 'blowfish': no cipher is called 'blowfish': 'culvert -Q Ciphers' prints those that culvert has"
        ),
        (
            "-c -aes* -L1:a:2 h", "-c -aes*: no cipher is called so: -oCiphers=-aes* takes away what is named"
        ),
        ("-y -E /log -L1:a:2 h", "-y and -E: give one place for the log"),
        ("-host", "-host: unknown option: for help, give -h alone"),
        (
            "-c aes* h",
            "-c: Bad SSH2 cipher spec 'aes*': no cipher is called 'aes*': 'culvert -Q Ciphers' prints those that culvert has"
        ),
        (
            "-m hmac-sha1,hmac-sha3 h",
            "-m: Bad SSH2 MAC spec 'hmac-sha1,hmac-sha3': no MAC is called 'hmac-sha3': did you mean hmac-sha1?"
        ),
        ("-1 h", "-1: not supported yet: SSH protocol 1 is broken: leave it out"),
        ("-p http! h", "-p http!: not a port: give a number from 1 to 65535"),
        ("-b a;b h", "-b a;b: not a name or an address"),
        ("-c , h", "-c ,: give names with commas between them, after '+', '-' or '^' to change the default list"),
        ("-l -x h", "-l: '-x' is not a user's name"),
        ("-L1:a:2 h ls -l", noCommand), ("-L1:a:2 h -- ls", noCommand), ("h ls", noCommand),
        ("-L1:a:2 up ls", "up is a subcommand only as the first word: culvert up …"),
        ("-L1:a:2", "no destination: give one, for example culvert -L 5432:db:5432 user@server"),
        ("", "no destination: give one, for example culvert -L 5432:db:5432 user@server"),
        ("-T h", "nothing to forward: give -L, -R, -D or -W, for example -L 5432:db:5432, or -N"),
        ("-L1:a:2 --port-file= h", "--port-file : give a file's name"),
        ("-L1:a:2 --port 22 h", "--port: unknown option: ssh calls it -p"),
        ("-L1:a:2 --Identity_file k h", "--Identity_file: unknown option: give -o IdentityFile=VALUE"),
        (
            "-L1:a:2 --ServerAliveInterval=5 h",
            "--ServerAliveInterval: unknown option: give -o ServerAliveInterval=VALUE"
        ),
        (
            "-L1:a:2 --strict-host-key-checking h",
            "--strict-host-key-checking: unknown option: give -o StrictHostKeyChecking=VALUE"
        ),
        ("-L1:a:2 --verbos h", "--verbos: unknown option: did you mean -v?"),
        (
            "-L1:a:2 --server-alive-intervall h",
            "--server-alive-intervall: unknown option: did you mean -o ServerAliveInterval=VALUE?"
        ),
        ("-L1:a:2 --lnks 4 h", "--lnks: unknown option: did you mean --links?"),
        ("-L1:a:2 --hlod=4 h", "--hlod: unknown option: did you mean --hold?"),
        ("-L1:a:2 --compress h", "--compress: unknown option: ssh calls it -C"),
        ("-L1:a:2 --qqqqqqqq h", "--qqqqqqqq: unknown option"),
        ("-L1:a:2 --persist=yes h", "--persist takes no value"),
        ("-L1:a:2 --io aio h", "--io aio: give auto, uring or epoll"),
        ("-L1:a:2 --engine x h", "--engine x: give native or libssh2"),
        ("-L1:a:2 --links 0 h", "--links 0: give a number from 1 to 64"),
        ("-L1:a:2 --links 65 h", "--links 65: give a number from 1 to 64"),
        ("-L1:a:2 --threads x h", "--threads x: give a number from 1 to 1024"),
        ("-L1:a:2 --hold 5x h", "--hold 5x: not a time: give seconds or ssh's form, for example 90 or 1m30s"),
        ("-L1:a:2 --knocks -1 h", "--knocks -1: give a number from 0, for no limit, to 1000"),
        ("-L1:a:2 --drain=x h", "--drain x: not a time: give seconds or ssh's form, for example 90 or 1m30s"),
        ("-L1:a:2 --memory 5x h", "--memory 5x: not a size: give for example 64M, 256M or 1G"),
        ("-L1:a:2 --memory 1M h", "--memory 1M: too little: give at least 16M"),
        ("-L1:a:2 --memory 1025G h", "--memory 1025G: too much: give at most 1024G"),
        ("-L1:a:2 --memory 8589934591G h", "--memory 8589934591G: too much: give at most 1024G"),
        (
            "-L1:a:2 --memory 99999999999999G h",
            "--memory 99999999999999G: not a size: give for example 64M, 256M or 1G"
        ),
    ]

    @Test(arguments: refused) func refusesWithOneLine(_ line: String, _ message: String) {
        #expect(fault(line.split(separator: " ").map(String.init)) == message)
    }

    @Test func longOptions() throws {
        let tunnel = try settings(
            "--io", "epoll", "--links=4", "--threads", "2", "--engine", "libssh2", "--hold", "1m", "--memory=1G",
            "--persist")
        #expect(tunnel.runtime == RuntimeOptions(io: .epoll, threads: 2, memory: 1 << 30))
        #expect(tunnel.links == 4 && tunnel.hold == .seconds(60) && tunnel.persist)
        #expect(try settings("--io=uring", "--io=epoll", "--hold", "5").runtime.io == .uring)
        #expect(try settings("--hold=0").hold == .zero)
        #expect(try settings().plan.knocks == .perHalfMinute(5))
        #expect(try settings("--knocks=0").plan.knocks == .unlimited)
        #expect(try settings("--knocks", "3", "-o", "CulvertKnocks=0").plan.knocks == .perHalfMinute(3))
        #expect(try settings("--drain", "1m", "--drain=2").drain == .seconds(60))
        #expect(try settings("--drain=0").drain == .zero)
    }

    @Test func forwardsKeepTheirOrder() throws {
        let texts = try tunnel(["-R", "9:a:1", "-NL1:a:2", "-oLocalForward=2 b:3", "h", "-fL/s:/t"]).forwards.map {
            $0.flag + $0.text
        }
        #expect(texts == ["-R9:a:1", "-L1:a:2", "-L2:b:3", "-L/s:/t"])
    }

    /// Property: the spellings of one line that getopt takes are one value.
    @Test func everySpellingOfALineIsTheSame() throws {
        let lines = [
            ["-N", "-f", "-v", "-v", "-p", "2222", "-l", "bob", "-L", "1:a:2", "-R", "3:b:4", "-o", "Port=1", "h"],
            ["-NfvvL1:a:2", "-R3:b:4", "-p2222", "-lbob", "h"], ["-NfvvL", "1:a:2", "-R", "3:b:4", "-p2222", "bob@h"],
            ["-fvvp2222", "bob@h", "-NL1:a:2", "-R3:b:4"], ["-fvvNL1:a:2", "-R3:b:4", "ssh://bob@h:2222"],
            ["-nTNfvvL1:a:2", "-R3:b:4", "--", "ssh://bob@h:2222/"],
            ["h", "-vfvL1:a:2", "-oPort=2222", "-oUser=bob", "-R3:b:4", "-p1"],
            ["-vvoport 2222", "-fouser=bob", "-L1:a:2", "h", "-R3:b:4", "-lann"],
            ["-fvv", "-o", "LocalForward=1:a:2", "-oRemoteForward=3:b:4", "-p2222", "[h]", "-l", "bob"],
            ["-ovisualhostkey=yes", "-vvfL1:a:2", "-R", "3:b:4", "bob@h", "-p2222"],
        ]
        let expected = try tunnel(lines[0])
        for line in lines.dropFirst() {
            var read = try tunnel(line)
            if line[0] == "-ovisualhostkey=yes" {
                #expect(read.notes == ["-o VisualHostKey has no effect here: ignored"])
                read.notes = []
            }
            #expect(read == expected, "\(line)")
        }
    }
}
