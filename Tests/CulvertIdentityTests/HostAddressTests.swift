import CulvertPlan
import CulvertSSH
import Foundation
import Testing

@testable import CulvertIdentity

/// CheckHostIP: the address's own entry.
@Suite struct HostAddressTests {
    let workshop: Workshop
    let key: PublicKey
    let line: String
    let other: String
    let notices = Notices()

    init() throws {
        workshop = try Workshop()
        for name in ["one", "two"] { try workshop.makeKey(name) }
        key = try workshop.publicKey("one")
        line = try workshop.publicLine("one")
        other = try workshop.publicLine("two")
    }

    private func identity(
        _ checking: HostKeyOptions.Checking = .yes, port: UInt16 = 22, checks: Bool = true,
        address: String = "192.0.2.7",
        alias: String? = nil, prompter: ScriptedPrompter = ScriptedPrompter(), memory: IdentityMemory = IdentityMemory()
    ) -> Identity {
        var settings = workshop.settings(port: port)
        settings.hostKeys.checking = checking
        settings.hostKeys.checksAddress = checks
        settings.hostKeys.alias = alias
        let identity = Identity(
            server: settings, memory: memory, mayPrompt: true, prompter: prompter,
            notice: { [notices] in notices.add($0) })
        identity.connects(to: address)
        return identity
    }

    @Test("an address that is unknown is written down beside the name, once", arguments: [UInt16(22), 2222])
    func unknownAddress(_ port: UInt16) throws {
        let (name, address) = port == 22 ? ("db.example", "192.0.2.7") : ("[db.example]:2222", "[192.0.2.7]:2222")
        try workshop.write("known_hosts", "\(name) \(line)\n")
        for _ in 0..<2 { try identity(port: port).verify(hostKey: key.blob) }
        #expect(try workshop.read("known_hosts") == "\(name) \(line)\n\(address) \(line)\n")
        #expect(notices.text.contains("the ED25519 host key for IP address '\(address)' to the list of known hosts"))
    }

    @Test func aNewHostGetsBothLines() throws {
        try identity(.acceptNew).verify(hostKey: key.blob)
        #expect(
            Set(try workshop.read("known_hosts").split(separator: "\n")) == ["db.example \(line)", "192.0.2.7 \(line)"])
    }

    @Test("an address that is known for another key is told, and refused where keys are checked strictly")
    func otherAddress() throws {
        let text = "db.example \(line)\n192.0.2.7 \(other)\n"
        try workshop.write("known_hosts", text)
        let error = #expect(throws: SSHError.self) { try identity().verify(hostKey: key.blob) }
        #expect(error?.kind == .hostKey && error?.description.contains("known_hosts:2") == true, "\(error as Any)")
        try identity(.acceptNew).verify(hostKey: key.blob)
        #expect(notices.text.contains("Warning: the ED25519 host key for 'db.example' differs"))
        #expect(notices.text.contains("Offending key for IP in \(workshop.file("known_hosts")):2"))
        #expect(throws: SSHError.self) {
            try identity(.ask, prompter: ScriptedPrompter(["no"])).verify(hostKey: key.blob)
        }
        let memory = IdentityMemory()
        try identity(.ask, prompter: ScriptedPrompter(["what?", "yes"]), memory: memory).verify(hostKey: key.blob)
        try identity(.ask, memory: memory).verify(hostKey: key.blob)
        #expect(try workshop.read("known_hosts") == text)
    }

    @Test(
        "a key that is revoked for the address is refused, whatever the setting",
        arguments: HostKeyOptions.Checking.allCases)
    func revokedAddress(_ checking: HostKeyOptions.Checking) throws {
        try workshop.write("known_hosts", "db.example \(line)\n@revoked 192.0.2.7 \(line)\n")
        #expect(throws: SSHError.self) { try identity(checking).verify(hostKey: key.blob) }
    }

    @Test("an address that is known for the key does not make up for the name")
    func addressAlone() throws {
        try workshop.write("known_hosts", "192.0.2.7 \(line)\n")
        #expect(throws: SSHError.self) { try identity().verify(hostKey: key.blob) }
        try workshop.write("known_hosts", "db.example \(other)\n192.0.2.7 \(line)\n")
        #expect(throws: SSHError.self) { try identity(.no).verify(hostKey: key.blob) }
        #expect(notices.text.contains("possible DNS spoofing"))
    }

    @Test("it is not looked at without the setting, at loopback, behind an alias, and where the host is its address")
    func unchecked() throws {
        let text = "db.example,nick \(line)\n192.0.2.7,127.0.0.2,::1 \(other)\n"
        try workshop.write("known_hosts", text)
        try identity(checks: false).verify(hostKey: key.blob)
        for address in ["127.0.0.2", "::1"] { try identity(address: address).verify(hostKey: key.blob) }
        try identity(alias: "nick").verify(hostKey: key.blob)
        #expect(try workshop.read("known_hosts") == text)
    }
}
