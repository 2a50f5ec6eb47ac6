@testable import CulvertSSH

/// A client's login, and the server that it talks to.
struct Handshake: ~Copyable {
    private var login: ClientLogin
    private let server = FuzzServer(isBare: false)
    private let authority = FuzzAuthority()
    private var inbox: [UInt8] = []
    private var isLoggedIn = false
    /// SSH_MSG_USERAUTH_SUCCESS was said under keys that come from a right exchange.
    private var mayLogIn = false
    /// What the client said last.
    private var heard: [[UInt8]] = []

    init(_ login: consuming ClientLogin) { self.login = login }

    /// The same keys in every run.
    static func makeLogin(_ settings: NativeSettings) -> ClientLogin {
        do { return try ClientLogin(settings: settings, random: .reproducible(seed: 1)) } catch {
            fatalError("fixed settings are right: \(error)")
        }
    }

    private mutating func feed(_ bytes: [UInt8]) throws(SSHError) {
        guard !isLoggedIn else { return }
        inbox += bytes
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: inbox.count, alignment: 1)
        defer { memory.deallocate() }
        memory.copyBytes(from: inbox)
        login.receive(memory)
        if case .loggedIn = try login.advance(authority) {
            promise(mayLogIn && server.isHonest && authority.verified == 1, "a login follows a right exchange")
            isLoggedIn = true
        }
        inbox.removeFirst(login.takeConsumed())
        login.invariants()
        drain()
    }

    private mutating func drain() {
        while login.output.count > 0 {
            let output = Array(login.output)
            login.outputSent(output.count)
            heard += server.hear(output)
        }
    }

    private mutating func show(_ bytes: [UInt8], _ drips: Bool) throws(SSHError) {
        if drips {
            for byte in bytes { try feed([byte]) }
        } else {
            try feed(bytes)
        }
    }

    private func requested(_ number: UInt8) -> [UInt8]? { heard.last { $0.first == number } }

    /// What an honest server does.
    mutating func logIn() throws(SSHError) {
        try feed([])
        try feed(Array("\(FuzzServer.version)\r\n".utf8))
        try feed(server.sayInit())
        guard let reply = server.sayReply() else { fatalError("a client says its part") }
        try feed(reply)
        guard let keys = server.sayNewKeys() else { fatalError("an exchange gives keys") }
        try feed(keys)
        try feed(server.seal([6] + Wire.string("ssh-userauth")))
        mayLogIn = true
        try feed(server.seal([52]))
        promise(isLoggedIn, "an honest server is logged in to")
    }

    consuming func takeDriver() -> ConnectionDriver<NativeEngine> {
        ConnectionDriver(engine: login.engine(), server: server)
    }

    /// Ends with the input, with the login, or with an error and its last word.
    mutating func run(_ input: inout FuzzInput) {
        do throws(SSHError) {
            try feed([])
            while !input.isOver && !isLoggedIn { try step(&input) }
        } catch {
            drain()
            promise(isOneSafeLine(error.description), "an error is one line")
            let isTold = DisconnectReason(error.kind) != nil && requested(20) != nil
            promise(!isTold || heard.last?.first == 1, "the last word is SSH_MSG_DISCONNECT")
        }
    }

    private mutating func step(_ input: inout FuzzInput) throws(SSHError) {
        let action = input.byte()
        let drips = action & 0x80 != 0
        switch action & 0x0f {
        case 0: try show(Array("\(FuzzServer.version)\r\n".utf8), drips)
        case 1: try show(server.sayInit(variant: input.byte()), drips)
        case 2:
            let forgery = (place: input.uint16(), change: input.byte())
            if let reply = server.sayReply(forgery: forgery) { try show(reply, drips) }
        case 3: if let keys = server.sayNewKeys() { try show(keys, drips) }
        case 4: try show(server.seal([6] + Wire.string("ssh-userauth")), drips)
        case 5:
            let names = ["publickey", "password", "keyboard-interactive", "none", "\u{1b}", "hostbased"]
            let mask = input.byte()
            let methods = names.indices.filter { mask >> UInt8($0) & 1 == 1 }.map { names[$0] }
            try show(server.seal([51] + Wire.string(methods.joined(separator: ",")) + [input.byte() & 1]), drips)
        case 6:
            mayLogIn = server.isSecured && server.isHonest
            try show(server.seal([52]), drips)
        case 7:
            let questions = Int(input.byte())
            let prompts = [[UInt8]](repeating: Wire.string("\u{7}?") + [0], count: min(questions, 40)).joined()
            let title = Wire.string("name") + Wire.string("words") + Wire.string("")
            try show(server.seal([60] + title + Wire.uint32(questions) + prompts), drips)
        case 8:
            // The key that was offered last: user, service, method, FALSE, algorithm, key.
            guard let request = requested(50), request.count > 44 else { return }
            try show(server.seal([60] + request.suffix(from: 1 + 8 + 18 + 13 + 1)), drips)
        case 9:
            let names = Wire.string("server-sig-algs") + Wire.string("ssh-ed25519,rsa-sha2-512")
            try show(server.seal([7] + Wire.uint32(1) + names), drips)
        case 10: try show(input.take(Int(input.byte())), drips)
        case 11, 12:
            let message = input.take(Int(input.byte()))
            // A success is a success in whatever way it is said.
            if message == [52] { mayLogIn = server.isSecured && server.isHonest }
            if !message.isEmpty { try show(server.seal(message), drips) }
        case 13: try show(server.seal([53] + Wire.string("banner\u{1b}\r\nmore") + Wire.string("")), drips)
        case 14: try show(server.seal([192] + Wire.string("")), drips)
        default: try show(server.seal([60] + Wire.string("change\u{1b}") + Wire.string("")), drips)
        }
    }
}
