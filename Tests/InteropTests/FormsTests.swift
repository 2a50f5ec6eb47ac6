import Foundation
import Testing

/// Files and lines in the forms that people have, at a real server: the tunnel stands with ssh and with culvert, or with
/// neither.
@Suite(.serialized) struct FormsTests {
    /// A configuration file, and a line behind `-N -F file`. `DOOR` and `TARGET` are ports, `SERVER` is the server's, `KEY` the
    /// file of the key that it knows, `HERE` a directory of its own.
    struct Form: Sendable, CustomTestStringConvertible {
        let name: String
        let file: String
        let words: [String]
        var stands = true
        var testDescription: String { name }

        init(_ name: String, _ file: String, _ words: [String] = ["-L", "DOOR:127.0.0.1:TARGET", "host"]) {
            (self.name, self.file, self.words) = (name, file, words)
        }

        /// With neither.
        static func fails(_ name: String, _ file: String, _ words: [String]? = nil) -> Form {
            var form = words.map { Form(name, file, $0) } ?? Form(name, file)
            form.stands = false
            return form
        }
    }

    /// What every file ends with: what it says itself comes first.
    private static let rest = """

        Host *
          HostName 127.0.0.1
          Port SERVER
          User \(SSHServer.user)
          IdentityFile KEY
          IdentitiesOnly yes
          BatchMode yes
          StrictHostKeyChecking yes
          UserKnownHostsFile HERE/known
          GlobalKnownHostsFile none
        """

    static let forms = systems + services + people + wrong + lines

    private static let systems = [
        Form("Debian's file", "Host *\n  SendEnv LANG LC_*\n  HashKnownHosts yes\n  GSSAPIAuthentication yes\n"),
        Form(
            "Fedora's DEFAULT",
            """
            Match final all
              Ciphers aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-ctr,aes128-gcm@openssh.com,aes128-ctr
              MACs hmac-sha2-256-etm@openssh.com,hmac-sha1-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-512
              GSSAPIKeyExchange no
              KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,diffie-hellman-group14-sha256
              HostKeyAlgorithms ecdsa-sha2-nistp256,ssh-ed25519,rsa-sha2-256,rsa-sha2-512,ssh-rsa
              PubkeyAcceptedAlgorithms ecdsa-sha2-nistp256,ssh-ed25519,rsa-sha2-256,rsa-sha2-512,ssh-rsa
              CASignatureAlgorithms ecdsa-sha2-nistp256,ssh-ed25519,rsa-sha2-256
            """),
        Form(
            "Fedora's FIPS, but for the keys",
            """
            Ciphers aes256-gcm@openssh.com,aes256-ctr,aes128-gcm@openssh.com,aes128-ctr
            MACs hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512
            KexAlgorithms ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group16-sha512
            RequiredRSASize 2048
            """),
        Form(
            "Fedora's FUTURE",
            """
            Ciphers aes256-gcm@openssh.com,aes256-ctr
            MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-512
            KexAlgorithms diffie-hellman-group18-sha512,ecdh-sha2-nistp521
            RequiredRSASize 3072
            """),
        Form(
            "a STIG's: CTR only",
            "Ciphers aes256-ctr,aes192-ctr,aes128-ctr\nMACs hmac-sha2-512,hmac-sha2-256\nKexAlgorithms ecdh-sha2-nistp256\n"
        ),
        Form(
            "hardening for clients",
            """
            Host *
              KexAlgorithms sntrup761x25519-sha512@openssh.com,gss-curve25519-sha256-,curve25519-sha256
              Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com
              MACs hmac-sha2-256-etm@openssh.com,umac-128-etm@openssh.com
              HostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com,ssh-ed25519
            """),
        Form("macOS's", "IgnoreUnknown UseKeychain\nHost *\n  UseKeychain yes\n  AddKeysToAgent yes\n"),
    ]

    private static let services = [
        Form(
            "Vagrant's",
            """
            Host default
              HostName 127.0.0.1
              Port SERVER
              UserKnownHostsFile /dev/null
              StrictHostKeyChecking no
              PasswordAuthentication no
              IdentityFile "KEY"
              IdentitiesOnly yes
              LogLevel FATAL
              PubkeyAcceptedKeyTypes +ssh-rsa
              HostKeyAlgorithms +ssh-rsa
            """, ["-L", "DOOR:127.0.0.1:TARGET", "default"]),
        Form(
            "Lima's",
            """
            Host lima
              IdentityFile "KEY"
              StrictHostKeyChecking no
              UserKnownHostsFile /dev/null
              NoHostAuthenticationForLocalhost yes
              PreferredAuthentications publickey
              Compression no
              BatchMode yes
              Ciphers "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
              ControlMaster no
              Hostname 127.0.0.1
            """, ["-L", "DOOR:127.0.0.1:TARGET", "lima"]),
        Form(
            "gcloud's",
            """
            Host web.zone.project
                HostName 127.0.0.1
                IdentityFile KEY
                UserKnownHostsFile=HERE/aliased
                HostKeyAlias=compute.1
                IdentitiesOnly=yes
                CheckHostIP=no
            """, ["-L", "DOOR:127.0.0.1:TARGET", "web.zone.project"]),
        Form(
            "IAP's and Session Manager's: a command that speaks",
            """
            Host i-*
              ProxyCommand sh -c "exec nc 127.0.0.1 SERVER # --target %h --parameters 'portNumber=%p'"
              HostKeyAlias compute.1
              UserKnownHostsFile HERE/aliased
              ProxyUseFdpass no
            """, ["-L", "DOOR:127.0.0.1:TARGET", "i-0123456789"]),
        Form(
            "cloudflared's: Match exec and a command",
            """
            Match host cf exec "test %h = 127.0.0.1"
              User nobody-of-that-name
            Match originalhost cf exec "test %n = cf"
              ProxyCommand nc 127.0.0.1 %p
              CertificateFile HERE/none-cert.pub
            """, ["-L", "DOOR:127.0.0.1:TARGET", "cf"]),
        Form(
            "step's and FreeIPA's: known hosts by a command",
            "Match exec \"true\"\n  KnownHostsCommand /bin/cat HERE/known\n  UserKnownHostsFile none\n"),
        Form(
            "Teleport's: quotes in the command",
            """
            Host *.t.example !proxy.t.example
              ProxyCommand "/bin/nc" 127.0.0.1 %p
              UserKnownHostsFile "HERE/known"
              HostKeyAlgorithms rsa-sha2-512-cert-v01@openssh.com,ssh-ed25519
            """, ["-L", "DOOR:127.0.0.1:TARGET", "db.t.example"]),
        Form(
            "systemd's proxy for sockets",
            "Host unix/*\n  ProxyCommand nc 127.0.0.1 SERVER\n  CheckHostIP no\n  StrictHostKeyChecking no\n"
                + "  UserKnownHostsFile /dev/null\n  HostName unix%%run\n",
            ["-L", "DOOR:127.0.0.1:TARGET", "unix/run/vm"]),
        Form(
            "Ansible's line", "",
            [
                "-C", "-o", "ControlMaster=no", "-o", "ControlPersist=60s", "-o", "KbdInteractiveAuthentication=no",
                "-o",
                "PreferredAuthentications=gssapi-with-mic,gssapi-keyex,hostbased,publickey", "-o",
                "PasswordAuthentication=no", "-o", "ConnectTimeout=10", "-L", "DOOR:127.0.0.1:TARGET", "host",
            ]),
        Form(
            "kitchen's line", "",
            [
                "-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=VERBOSE", "-i",
                "KEY",
                "-p", "SERVER", "-L", "DOOR:127.0.0.1:TARGET", "\(SSHServer.user)@127.0.0.1",
            ]),
    ]

    private static let people = [
        Form("CRLF", "Host host\r\n  HostName 127.0.0.1\r\n  ServerAliveInterval 20\r\n"),
        Form("a bastion", "Host inner\n  ProxyJump gate\n", ["-L", "DOOR:127.0.0.1:TARGET", "inner"]),
        Form(
            "two bastions", "Host inner\n  ProxyJump gate,\(SSHServer.user)@second\n",
            ["-L", "DOOR:127.0.0.1:TARGET", "inner"]),
        Form("a bastion of the line", "", ["-J", "gate", "-L", "DOOR:127.0.0.1:TARGET", "inner"]),
        Form(
            "a bastion by -W", "Host inner\n  ProxyCommand nc %h %p\n", ["-L", "DOOR:127.0.0.1:TARGET", "inner"]),
        Form("a forward of the file", "Host host\n  LocalForward DOOR 127.0.0.1:TARGET\n", ["host"]),
        Form("a forward of the file by name", "Host h*\n  LocalForward localhost:DOOR localhost:TARGET\n", ["host"]),
        Form("a reverse forward of the file", "Host host\n  RemoteForward DOOR 127.0.0.1:TARGET\n", ["host"]),
        Form(
            "an Include", "Host host\n  Include HERE/known-not-there\n  Include HERE/more*\n",
            ["-L", "DOOR:127.0.0.1:TARGET", "host"]),
        Form(
            "tokens in names of files",
            "Host host\n  UserKnownHostsFile HERE/%l%%-not-there HERE/kn%%w HERE/known\n"),
        Form(
            "at home and away", "Match originalhost nas exec \"test -e HERE/known\"\n  HostName 127.0.0.1\n",
            ["-L", "DOOR:127.0.0.1:TARGET", "nas"]),
        Form("canonical names", "CanonicalizeHostname yes\nCanonicalDomains invalid\n"),
        Form("an agent that is not there", "Host host\n  IdentityAgent HERE/none.sock\n  ForwardAgent yes\n"),
        Form("everything of X and terminals", "ForwardX11 no\nRequestTTY no\nEscapeChar none\nVisualHostKey yes\n"),
        Form("exit on failure, and it stands", "ExitOnForwardFailure yes\n"),
        Form("SOCKS at a socket beside", "", ["-D", "HERE/socks", "-L", "DOOR:127.0.0.1:TARGET", "host"]),
        Form("a rekey limit in odd units", "RekeyLimit 0.5T 1h\n"),
        Form("comments and tabs", "Host\thost # it\n\tServerAliveInterval\t=\t30 # s\n#end\n"),
    ]

    private static let wrong = [
        Form.fails("a key exchange that the server has not", "KexAlgorithms diffie-hellman-group1-sha1\n"),
        Form.fails("a cipher that the server has not", "Ciphers 3des-cbc\n"),
        Form.fails("host keys of another kind", "HostKeyAlgorithms ecdsa-sha2-nistp256\n"),
        Form.fails("keys of another kind", "PubkeyAcceptedAlgorithms rsa-sha2-512\n"),
        Form.fails("no keys", "PubkeyAuthentication no\n"),
        Form.fails("an unknown host, strictly", "UserKnownHostsFile none\n"),
        Form.fails("an alias that nobody knows", "HostKeyAlias nobody\n"),
        Form.fails("a command that fails", "ProxyCommand false\n"),
        Form.fails("a name that is none", "HostName no-such-name.invalid\n"),
        Form.fails("an unknown key", "Nonsense yes\n"),
        Form.fails("a bad value where nothing applies", "Host other\n  BatchMode maybe\n"),
        Form.fails("a file that is not there", "", ["-F", "HERE/none", "-L", "DOOR:127.0.0.1:TARGET", "host"]),
        Form.fails("a jump to itself", "ProxyJump 127.0.0.1:SERVER\n"),
        Form.fails(
            "a forward that cannot listen", "ExitOnForwardFailure yes\n",
            ["-L", "192.0.2.1:DOOR:127.0.0.1:TARGET", "host"]),
    ]

    /// Lists of algorithms of which culvert has some, and forwards in unusual spellings.
    private static let lines =
        [
            ["-c", "aes256-cbc,aes256-gcm@openssh.com"], ["-c", "+3des-cbc"],
            ["-m", "hmac-sha1", "-c", "aes128-gcm@openssh.com"], ["-oMACs=umac-64@openssh.com,hmac-sha1"],
            ["-oHostKeyAlgorithms=ssh-rsa,ssh-ed25519"],
            ["-oHostKeyAlgorithms=+ssh-rsa", "-oPubkeyAcceptedAlgorithms=+ssh-rsa"],
            ["-oKexAlgorithms=diffie-hellman-group14-sha1,curve25519-sha256"],
            ["-oCiphers=-*cbc*,aes*ctr", "-oKexAlgorithms=-*sha1"], ["-B", "lo"], ["-oBindInterface=lo", "-4"],
            ["-oCanonicalizeHostname=yes", "-oCanonicalDomains=a.invalid"],
            ["-oCanonicalizeHostname=no", "-oCanonicalizePermittedCNAMEs=*:*"],
            ["-oServerAliveCountMax=0", "-oServerAliveInterval=60"], ["-oServerAliveCountMax=0"],
            ["-oProxyUseFdpass=yes", "-oVerifyHostKeyDNS=no"], ["-oPermitLocalCommand=yes", "-oLocalCommand=exit 3"],
            ["-oNumberOfPasswordPrompts=0", "-oTunnel=no", "-oIPQoS=none"],
            ["-oGlobalKnownHostsFile=/tmp", "-oVisualHostKey=no"],
            ["-oControlMaster=auto", "-oControlPath=none", "-oControlPersist=no"], ["-p", "+SERVER"],
            ["-o", "# nothing"],
        ].map { Form($0.joined(separator: " "), "", $0 + ["-L", "DOOR:127.0.0.1:TARGET", "host"]) } + [
            Form("-L in brackets", "", ["-L", "[DOOR]:[127.0.0.1]:[TARGET]", "host"]),
            Form("options behind the host", "", ["host", "-L", "DOOR:127.0.0.1:TARGET", "-v"]),
            Form("a cluster", "", ["-aTxL", "DOOR:127.0.0.1:TARGET", "host"]),
        ]

    @Test(
        "the tunnel stands with both, or with neither",
        .enabled(if: Subject.isCulvert && Subject.engine != "libssh2", "beside ssh; libssh2 1.10 has no AEAD"))
    func standsBesideSSH() throws {
        #expect(Self.forms.count >= 60)
        try onStage { stage in
            let echo = try TargetServer.echo(on: stage)
            guard case .tcp(let target) = echo.address else { throw Failure("no port") }
            let server = try SSHServer(on: stage)
            for (index, form) in Self.forms.enumerated() {
                let trials = try ["ssh": "/usr/bin/ssh", "culvert": Subject.path].map { name, path in
                    try Trial(name, path, form, server, target, "\(stage.directory)/\(name)-\(index)")
                }
                for trial in trials {
                    let stands = try trial.stands()
                    #expect(stands == form.stands, "\(trial.name), \(form.name): \(trial.child.errorText)")
                }
            }
        }
    }

    /// A form under way with one of the two.
    private struct Trial {
        let name: String
        let door: UInt16
        let child: Child

        init(
            _ name: String, _ path: String, _ form: Form, _ server: SSHServer, _ target: UInt16, _ directory: String
        ) throws {
            self.name = name
            door = try Ports.free()
            let marks = [
                "DOOR": "\(door)", "TARGET": "\(target)", "SERVER": "\(server.port)", "KEY": server.keys.path("login"),
                "HERE": directory,
            ]
            func filled(_ text: String) -> String {
                marks.reduce(text) { $0.replacingOccurrences(of: $1.key, with: $1.value) }
            }
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            let key = server.keys.publicKey("host")
            let files = [
                "config": filled(form.file + "\n" + FormsTests.rest + "\n"), "more-1": "ServerAliveInterval 33\n",
                "known": "[127.0.0.1]:\(server.port) \(key)\nunix%run \(key)\n", "aliased": "compute.1 \(key)\n",
            ]
            for (name, text) in files {
                try text.write(toFile: "\(directory)/\(name)", atomically: false, encoding: .utf8)
            }
            let words = ["-N", "-F", "\(directory)/config"] + form.words.map(filled)
            child = try server.stage.start(name, [path] + words, environment: Tunnel.environment(server.stage))
        }

        /// Ends it.
        func stands() throws -> Bool {
            defer { child.destroy() }
            return try eventually("it stands or has ended", within: 30) {
                guard child.isRunning else {
                    guard let ending = child.ending, ending != .exited(0) else { throw Failure("\(name) ended with 0") }
                    return false
                }
                guard !ProcFS.listeners(port: door).isEmpty else { return nil }
                try OutageTests.expectEcho(.tcp(door), within: 15)
                return true
            }
        }
    }
}
