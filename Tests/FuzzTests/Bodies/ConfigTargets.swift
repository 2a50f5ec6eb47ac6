import CulvertPlan

@testable import CulvertConfig

private let environment = ConfigurationEnvironment(
    variables: ["HOME": "/home/user", "SSH_AUTH_SOCK": "/run/agent"], homeDirectory: "/home/user", userName: "user",
    userID: 1000, hostName: "here")

private func check(_ error: ConfigurationError) {
    promise(!error.message.isEmpty && isOneLine(error.message), "an error is one line: \(error.message)")
}

/// What a user typed may be shown as it is, but for what steers a terminal.
private func isOneLine(_ text: String) -> Bool {
    text.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
}

private func check(_ forward: ForwardSpecification) {
    switch forward.listen {
    case .tcp: promise(forward.kind != .streams, "-W listens nowhere")
    case .unix(let path): promise(path.utf8.count <= ForwardParser.maximumPathLength, "a path fits a socket's address")
    case .standardStreams: promise(forward.kind == .streams, "-W alone has standard input")
    }
    check(forward.target)
    if forward.target == .requested {
        promise(forward.kind == .dynamic || forward.kind == .remote, "SOCKS is -D's and -R's")
    }
}

private func check(_ target: Target) {
    switch target {
    case .tcp(let host, let port): promise(port > 0 && !host.isEmpty, "a target has a host and a port")
    case .unix(let path): promise(path.utf8.count <= ForwardParser.maximumPathLength, "a path fits a socket's address")
    case .requested: break
    }
}

/// What is meant is all that was typed.
private func check(_ tunnel: TunnelConfiguration) {
    promise(!tunnel.forwards.isEmpty, "a tunnel forwards something")
    for forward in tunnel.forwards { check(forward) }
    let plan = tunnel.plan
    promise(plan.forwards.count + plan.reverse.count == tunnel.forwards.count, "each forward is meant once")
    promise((1...TunnelPlan.maximumLinks).contains(plan.links), "a tunnel has links")
    let destination = plan.server.destination
    promise(destination.port > 0 && !destination.host.isEmpty, "a server can be dialled")
    promise(plan.runtime.memory >= RuntimeOptions.minimumMemory, "memory has a least ceiling")
    promise(plan.hold >= .zero && plan.drain >= .zero, "nobody waits less than not at all")
}

extension FuzzTarget {
    /// `-L`, `-R`, `-D` and `-W`.
    static let forwards = FuzzTarget(
        "Forwards", maximumLength: 200,
        seeds: {
            [
                "5432:db:5432", "[::1]:8080:[fe80::1%eth0]:80", "*:9000:web:80", "/run/a.sock:db:1", "0:/run/a.sock",
                "1:/a\\:b:2", "localhost/80/web/80", ":1:a:2", "8080", "http:web:http", "[::1]:1080", "/run/a.sock",
                "db:5432",
            ].map { Array($0.utf8) }
        }
    ) { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        for kind in [ForwardSpecification.Kind.local, .remote, .dynamic, .streams] {
            do throws(ConfigurationError) {
                let forward = try ForwardParser.parse(text, kind: kind)
                promise(forward.text == text && forward.kind == kind, "a forward knows what was typed")
                check(forward)
            } catch {
                promise(!error.message.isEmpty, "a mistake is told")
            }
        }
        if let seconds = TimeValue.seconds(text) { promise(seconds >= 0, "no time is negative") }
    }

    /// A command line, its words parted by NUL.
    static let commandLine = FuzzTarget(
        "CommandLine", maximumLength: 400,
        seeds: {
            [
                "-L\u{0}5432:db:5432\u{0}user@server", "-NfL1:a:2\u{0}-o\u{0}ServerAliveInterval=3\u{0}h",
                "-R\u{0}0:localhost:22\u{0}-p22\u{0}ssh://user@[::1]:23", "relay\u{0}-L\u{0}1:a:2\u{0}--io\u{0}epoll",
                "-L1:a:2\u{0}--links=4\u{0}--hold=3s\u{0}--memory\u{0}64M\u{0}--engine\u{0}libssh2\u{0}h",
                "-L1:a:2\u{0}-oRekeyLimit=1G 1h\u{0}-oIdentityFile=~/%u/${HOME}\u{0}h", "--help", "-V", "-o\u{0}x",
                "-L1:a:2\u{0}-oCiphers=^aes*\u{0}-oUserKnownHostsFile=\"a b\" c\u{0}-oStrictHostKeyChecking=no\u{0}h",
                "-R/a:/b\u{0}-oStreamLocalBindMask=0177\u{0}-oPort=1\u{0}-oHostName=%h.x\u{0}-i\u{0}%d/k\u{0}h",
                "-D1080\u{0}-R\u{0}*:1\u{0}-oPermitRemoteOpen=a:1 *:2\u{0}h", "-W\u{0}a:22\u{0}-D1\u{0}h",
                "-L1:a:2\u{0}-oLocalForward=3 b:4\u{0}-oPreferredAuthentications=publickey,password\u{0}-b::1\u{0}h",
            ].map { Array($0.utf8) }
        }
    ) { bytes in
        let words = bytes.split(separator: 0, omittingEmptySubsequences: false).map {
            String(decoding: $0, as: UTF8.self)
        }
        do throws(ConfigurationError) {
            switch try parseCommandLine(words, environment: environment, access: .nothing) {
            case .tunnel(let tunnel): check(tunnel)
            case .relay(let relay):
                promise(!relay.plan.forwards.isEmpty, "a relay forwards something")
                for forward in relay.plan.forwards { check(forward.target) }
            case .control(let request): promise(!request.path.isEmpty, "a master has a socket")
            case .up(let request), .check(let request): promise(!request.file.isEmpty, "tunnels come from a file")
            case .status(let request): promise(!request.isJSON || !request.watches, "a document is shown once")
            case .show(let text): promise(!text.isEmpty, "help says something")
            }
        } catch {
            check(error)
        }
    }

    /// A file of `culvert up`.
    static let tunnelFile = FuzzTarget(
        "TunnelFile", maximumLength: 400,
        seeds: {
            [
                "[tunnel.db]\ndestination=\"o@b\"\nlocal=[\"1:a:2\",#\n'3:b:4']\nlinks=4\n",
                "[defaults]\nPort=22\n[tunnel.\"a b\"]\ndestination='h'\nremote=\"0:localhost:22\"\nIdentitiesOnly=true\n",
                "tunnel.x={destination=\"h\",local=\"1:a:2\"}\n",
                "[tunnel.x]\na=\"\"\"\n\\\"\"\"\"\nb=[[1],{c=']'}]\nd=1.5\n",
                "[tunnel.x]\ndestination=\"h\"\nlocal=\"/a:/b\"\nServerAliveInterval=3\nhold=\"1m\"\nengine='libssh2'\n",
            ].map { Array($0.utf8) }
        }
    ) { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        // Also of what is no TOML: the places must be looked for without a trap.
        let place = TOMLPositions(text).place(of: ["tunnel", "x"])
        promise(place.line >= 1 && place.column >= 1, "places are counted from 1")
        do throws(ConfigurationError) {
            let file = try TunnelFile(text, path: "t", environment: environment, access: .nothing)
            promise(!file.tunnels.isEmpty, "a file has tunnels")
            for tunnel in file.tunnels {
                promise(!tunnel.configuration.forwards.isEmpty, "a tunnel forwards something")
                promise(tunnel.configuration.plan.persistence == .always, "a tunnel of several comes back by itself")
                for forward in tunnel.configuration.forwards { check(forward) }
            }
        } catch {
            check(error)
            promise(error.message.hasPrefix("t line "), "a mistake has a place: \(error.message)")
        }
    }
}
