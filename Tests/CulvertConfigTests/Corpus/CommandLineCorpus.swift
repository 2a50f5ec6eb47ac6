@testable import CulvertConfig

/// What people type at ssh: lists of algorithms, forwards in every spelling, and what stands behind the host.
enum CommandLineCorpus {
    static let cases: [CorpusCase] = lists + forwards + hosts + commands

    /// A line and its name are the same here.
    private static func lines(_ kind: String, _ lines: [String]) -> [CorpusCase] {
        lines.map { CorpusCase("\(kind): \($0)", "", $0 + " host") }
    }

    private static let lists =
        lines(
            "a list",
            [
                "-c aes256-gcm@openssh.com,aes256-ctr", "-c aes128-ctr,,aes256-gcm@openssh.com", "-c +aes128-cbc",
                "-c ^aes128-ctr,3des-cbc", "-c +x", "-c aes*", "-c +aes*", "-c ^aes*", "-c aes256-gcm@openssh.com,x",
                "-m hmac-sha1", "-m hmac-md5,hmac-sha2-512", "-m +hmac-sha1-96", "-m bogus", "-m none",
                "-m umac-64@openssh.com,hmac-ripemd", "-oCiphers=-*cbc*", "-oCiphers=-x", "-oCiphers=^3des-cbc",
                "-oCiphers=x", "-oMACs=^umac-128@openssh.com", "-oMACs=hmac-sha2-256,hmac-sha3",
                "-oHostKeyAlgorithms=ssh-ed25519,ssh-rsa", "-oHostKeyAlgorithms=+ssh-rsa,ssh-dss",
                "-oHostKeyAlgorithms=ssh-*", "-oHostKeyAlgorithms=^rsa-*", "-oHostKeyAlgorithms=ssh-rsb",
                "-oHostKeyAlgorithms=+ssh-*,x*", "-oHostKeyAlgorithms=ssh-rsa-cert-v01@openssh.com,ssh-ed25519",
                "-oKexAlgorithms=+diffie-hellman-group1-sha1", "-oKexAlgorithms=-ecdh*,diffie*",
                "-oKexAlgorithms=curve25519-sha256,diffie-hellman-group14-sha1",
                "-oKexAlgorithms=gss-group14-sha256-,curve25519-sha256", "-oKexAlgorithms=curve*",
                "-oPubkeyAcceptedAlgorithms=+ssh-rsa", "-oPubkeyAcceptedKeyTypes=+ssh-dss,ssh-rsa",
                "-oPubkeyAcceptedAlgorithms=rsa-sha2-512,x", "-oHostbasedAcceptedAlgorithms=-ssh*",
                "-oCASignatureAlgorithms=^ssh-rsa",
            ])
        + [
            CorpusCase("a file's list with older names", "Ciphers aes128-ctr,arcfour256\nPort 1\n", "-p2 host"),
            CorpusCase(
                "a file's lists for an old server",
                """
                Host old
                  KexAlgorithms +diffie-hellman-group1-sha1,diffie-hellman-group14-sha1
                  HostKeyAlgorithms +ssh-rsa
                  PubkeyAcceptedAlgorithms +ssh-rsa
                  Ciphers +aes256-cbc,3des-cbc
                  MACs +hmac-sha1
                """, "old"),
            CorpusCase(
                "hardening",
                "Ciphers -*cbc,*gcm*\nMACs -*sha1*,umac*\nKexAlgorithms -*sha1,*nist*\nHostKeyAlgorithms -ecdsa*"),
            CorpusCase("a list of the flag and one of the file", "Ciphers x\n", "-c aes256-gcm@openssh.com host"),
            CorpusCase("two lists, the first wins", "MACs hmac-sha2-512\nMACs hmac-sha1\n"),
        ]

    private static let forwards =
        lines(
            "a forward",
            [
                "-L[/a]:[/b]", "-L[/a]:b:1", "-L1:[/b]", "-L[1]:a:2", "-L1:[a]:[2]", "-L[h]:[1]:[a]:[2]", "-R[/a]:[/b]",
                "-R[/a]:h:1", "-R[/a]", "-R[/a:b]:[/c:d]", "-L[/a:b]:[/c:d]", "-L[/a:b]:c:1", "-L/a:[/c:d]",
                "-L[/a]:/b", "-L[a/b]:c:1", "-D[1080]", "-D[h]:[1080]", "-L[/a]x:1:2", "-L[/a", "-L1:[h]x:2",
                "-L1:h_h:2", "-L1:h$x:2", "-L1:h;x:2", "-L1:h*x:2", "-L1:-x:2", "-L1:h\"x:2", "-L1:h`x:2", "-L1:h@x:2",
                "-L1:h,x:2", "-L1:h/x:2", "-L1:[h/x]:2", #"-L1:h\\x:2"#, #"-L1:h\:x:2"#, "-L1:h(x):2", "-L1:hé:2",
                "-L1:h?:2", "-L1:h|x:2", "-L1:h&x:2", "-L1:*:2", "-L1:.:2", "-L1:~b:2", "-L1:h]:2", "-L1:h[x]:2",
                "-Lh$:1:h:2", "-R[h;]:1:h:2", "-Rh_x:1:h:2", "-L1:/a_b", "-L/a_b:h:1", "-Lhttp:h:ssh", "-Dsocks",
                "-L[*]:1:h:2", "-L[localhost]:1:h:2", "-L[::1%lo]:1:[::1%lo]:2", "-R1:h$x:2", "-R[::]:0:h$x:2",
                "-L1:h=b:2", "-L1:h#b:2", "-L1:h+b:2", "-L/a/b:c/d:2", "-L1:h:2_", "-L_1:h:2", "-R__1:h:2", "-D_1",
                "-L1:_h:2", "-oLocalForward=[/a]_[/b]",
                "-oLocalForward=1_[/b]", "-oRemoteForward=[/a:b]_h;x:1", "-oLocalForward=1_h_x:2",
            ])
        + [
            CorpusCase("bracketed paths in a file", "LocalForward [/run/a] [/run/b]\nRemoteForward [/c:d] [h]:1\n"),
            CorpusCase("a host with signs in a file", "LocalForward 1 h;x:2\nRemoteForward 3 a_b.c:4\n"),
            CorpusCase("a quoted host with a blank", "LocalForward 1 \"h x:2\"\n"),
        ]

    private static let hosts = [
        CorpusCase("options behind the host", "", "host -p 22 -v"), CorpusCase("a host by URI", "", "ssh://a@b:3"),
        CorpusCase("a cluster with a value", "", "-NTvp2222 host"),
        CorpusCase("the same flag twice", "", "-p1 -p2 host"),
        CorpusCase("-B", "BindInterface x\n", "-B lo host"), CorpusCase("-B twice", "", "-B lo -Beth0 host"),
        CorpusCase("an interface of the file", "BindInterface lo\nBindInterface x\n"),
        CorpusCase("-b and -4", "", "-b 127.0.0.1 -4 host"),
        CorpusCase("two binds", "", "-b 127.0.0.1 -b 127.0.0.2 host"),
        CorpusCase("-N without a forward", "", "-N host"), CorpusCase("-fN without a forward", "", "-fN host"),
        CorpusCase("all cleared and nothing there", "", "-oClearAllForwardings=yes host"),
        CorpusCase("an option with blanks", "", "-o_Port_=_7 host"),
        CorpusCase("a name with a sign", "", "-l a.b-c_d host"), CorpusCase("no host", "", "-N"),
        CorpusCase("an unknown letter", "", "-Z host"), CorpusCase("an unknown letter in a cluster", "", "-NZf host"),
    ]

    /// They change nothing of what is printed.
    private static let commands = [
        CorpusCase("a remote command", "", "host ls -l"), CorpusCase("a command behind --", "", "host -- -p 22"),
        CorpusCase("a command with an option before it", "", "host -p 22 true"),
        CorpusCase("the idiom", "", "-f -L 1:a:2 host sleep 10"),
        CorpusCase("the idiom in one word", "", "-f host sleep_10"),
        CorpusCase("a command and a file", "Host host\nPort 4\nLocalForward 1 a:2\n", "host echo -p 22"),
        CorpusCase("a command after -- and the host", "", "-p 3 -- host -p 4"),
        CorpusCase("a command that looks like a forward", "", "host -L 1:a:2 x -L 3:b:4"),
    ]
}
