@testable import CulvertSSH

extension FuzzTarget {
    /// User authentication without a transport: the server's messages, each behind its length; length 0 stands for the
    /// right SSH_MSG_USERAUTH_PK_OK.
    static let login = FuzzTarget(
        "Login", maximumLength: 1024,
        seeds: {
            func stream(_ messages: [UInt8]...) -> [UInt8] { messages.flatMap { [UInt8($0.count)] + $0 } }
            let publicKey = [51] + Wire.string("publickey,keyboard-interactive,password") + [0]
            let partial = [51] + Wire.string("keyboard-interactive,password") + [1]
            let question =
                [60] + Wire.string("n") + Wire.string("i") + Wire.string("") + Wire.uint32(1) + Wire.string("?") + [1]
            let change = [60] + Wire.string("change it\u{1b}") + Wire.string("")
            let banner = [53] + Wire.string("words\u{7}\r\n") + Wire.string("")
            return [
                stream(publicKey, [], [52]), stream(publicKey, [], partial, question, [52]),
                stream(banner, publicKey, publicKey, question, question, publicKey, change, publicKey, publicKey),
                stream([52]), stream([51] + Wire.string("") + [1]), stream(publicKey, question),
            ]
        }
    ) { bytes in
        var input = FuzzInput(bytes)
        let authority = FuzzAuthority()
        var login = UserAuthClient(sessionID: [1, 2, 3], hostKey: [4, 5])
        login.serverSignatureAlgorithms = input.byte() & 1 == 0 ? ["ssh-ed25519"] : nil
        input = FuzzInput(bytes)
        do throws(SSHError) {
            var request = try login.begin(authority).withBytes { Array($0) }
            var isSaid = false
            while !input.isOver {
                var message = input.take(Int(input.byte()))
                // User, service, method and FALSE stand before what is repeated: the algorithm and the key.
                if message.isEmpty { message = [60] + request.dropFirst(1 + 8 + 18 + 13 + 1) }
                isSaid = isSaid || message == [52]
                let step = try withMemory(of: message) { memory throws(SSHError) in
                    try login.handle(UnsafeRawBufferPointer(memory), authority)
                }
                switch step {
                case .wait: break
                case .send(let answer):
                    request = answer.withBytes { Array($0) }
                    promise(request.first == 50 || request.first == 61, "what is sent belongs to a login")
                case .loggedIn:
                    promise(isSaid, "a login ends with the server's word")
                    return
                }
            }
        } catch {
            promise(error.kind == .protocolViolation || error.kind == .authentication, "\(error)")
            promise(isOneSafeLine(error.description), "an error is one line")
        }
    }
}
