@testable import CulvertSSH

extension FuzzTarget {
    /// SSH_MSG_KEX_DH_GEX_GROUP and SSH_MSG_KEX_DH_GEX_REQUEST (RFC 4419 §5). First byte: the role. A client calculates in
    /// whatever group it is given, of 512 to 1024 bits so that it is quick, and takes what is left as the server's number.
    static let groupExchange = FuzzTarget(
        "GroupExchange", maximumLength: 600,
        seeds: {
            func group(_ prime: [UInt8], _ generator: [UInt8], _ part: [UInt8]) -> [UInt8] {
                let numbers = Wire.string([0] + prime) + Wire.string(generator)
                return [0, UInt8(numbers.count >> 8), UInt8(numbers.count & 255)] + numbers + part
            }
            let odd = [UInt8](repeating: 0xd5, count: 64)
            let request: [UInt8] = [1] + [2048, 3072, 8192].flatMap { Wire.uint32($0) }
            return [
                group(odd, [2], [UInt8](repeating: 0x55, count: 64)), group(odd + odd, [5], [0x0f]),
                group([UInt8](repeating: 0xff, count: 64), [2], [0x0f]), request,
                Array(request.dropLast(4)) + Wire.uint32(2000),
            ]
        }
    ) { bytes in
        var input = FuzzInput(bytes)
        let isServer = input.byte() & 1 == 1
        do throws(SSHError) {
            if isServer {
                let request = try input.rest().read("the request") { reader throws(SSHError) in
                    try GroupExchange.Request(reader)
                }
                let length = UInt32(try request.choose().length)
                promise((request.minimum...request.maximum).contains(length), "a server gives what it is asked for")
                return
            }
            let message = input.take(input.uint16())
            let part = input.rest()
            let request = GroupExchange.Request(minimum: 512, preferred: 512, maximum: 1024)
            let group = try message.read("the group") { reader throws(SSHError) in
                try DiffieHellmanGroup(reader, for: request)
            }
            promise(Array(group.bytes.dropFirst()) == message, "a group is hashed as it came")
            promise((512...1024).contains(group.length), "a group is as long as was asked for")
            var random = RandomSource.reproducible(seed: 1)
            let key = try DiffieHellmanKey(group, &random)
            promise(key.publicPart.count <= group.prime.count + 1, "a number is less than the prime")
            let secret = try key.secret(peerPart: part)
            promise(secret.count > 4 && secret.count <= group.prime.count + 5, "a secret is less than the prime")
        } catch {
            promise(error.kind == .keyExchange || error.kind == .protocolViolation, "\(error)")
            promise(isOneSafeLine(error.description), "an error is one line")
        }
    }
}
