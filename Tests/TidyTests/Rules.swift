import Foundation

/// One thing that a file does and must not do.
struct Finding: Hashable, CustomStringConvertible {
    let path: String
    let line: Int
    let complaint: String

    var description: String { "\(path):\(line): \(complaint)" }
}

/// A rule that a program can check, with a sample that breaks it: a rule that cannot fail is no rule.
struct Rule: Sendable, CustomStringConvertible {
    let name: String
    /// A file that breaks the rule, and nothing else than it in the respect that the rule looks at.
    let offender: @Sendable () -> SourceFile
    let findings: @Sendable (SourceFile) -> [Finding]

    var description: String { name }
}

extension Rule {
    static let all: [Rule] = [
        imports, cModulesStayInside, noFoundation, length, lineBreaks, leftovers, bannedNames, machinePaths,
        uncheckedBuilds, existentials, randomness,
    ]

    /// Complains about every line for which `complaint` has words.
    private static func eachLine(
        of file: SourceFile, _ complaint: (String) -> String?
    ) -> [Finding] {
        file.lines.enumerated().compactMap { index, line in
            complaint(line).map { Finding(path: file.path, line: index + 1, complaint: $0) }
        }
    }

    /// The module that a line imports, and what stands before `import`.
    static func importedModule(_ line: String) -> (module: String, attributes: [String])? {
        var words = line.split(separator: " ").map(String.init)
        guard let index = words.firstIndex(of: "import"), index + 1 < words.count else { return nil }
        let attributes = Array(words[..<index])
        let allowed: Set<String> = ["public", "package", "internal", "fileprivate", "private"]
        guard attributes.allSatisfy({ $0.hasPrefix("@") || allowed.contains($0) }) else { return nil }
        words.removeFirst(index + 1)
        // `import struct Module.Name`
        let kinds: Set<String> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
        if kinds.contains(words[0]), words.count > 1 { words.removeFirst() }
        return (String(words[0].prefix { $0 != "." }), attributes)
    }

    /// Which of the package's own modules each target may import: the edges of ARCHITECTURE.md's picture.
    static let allowedImports: [String: Set<String>] = [
        "CulvertPlan": [],
        "CulvertIO": ["CLinux"],
        "CulvertSSH": ["CCrypto", "CulvertPlan"],
        "CulvertLibSSH2": ["CLibSSH2", "CulvertPlan", "CulvertSSH"],
        "CulvertIdentity": ["CulvertPlan", "CulvertSSH"],
        "CulvertConfig": ["CulvertPlan"],
        "CulvertRelay": ["CulvertIO", "CulvertPlan", "CulvertSSH", "CulvertLibSSH2"],
        "CulvertControl": ["CulvertConfig", "CulvertIO", "CulvertPlan", "CulvertRelay", "CulvertSSH"],
        "culvert": [
            "CulvertConfig", "CulvertControl", "CulvertIO", "CulvertIdentity", "CulvertPlan", "CulvertRelay",
            "CulvertSSH",
        ],
        "culvert-load": ["CulvertIO"],
    ]

    static let ownModules: Set<String> = Set(allowedImports.keys).union(["CLinux", "CCrypto", "CLibSSH2", "Simulation"])

    static let imports = Rule(
        name: "a target imports only the targets below it",
        offender: { SourceFile(path: "Sources/CulvertSSH/Bad.swift", text: "internal import CulvertIO\n") },
        findings: { file in
            guard file.isSwift, file.isProduct, let target = file.target else { return [] }
            guard let allowed = allowedImports[target] else {
                return [
                    Finding(path: file.path, line: 1, complaint: "the target \(target) has no place in the picture")
                ]
            }
            return eachLine(of: file) { line in
                guard let (module, _) = importedModule(line), ownModules.contains(module), !allowed.contains(module)
                else { return nil }
                return "\(target) must not import \(module)"
            }
        })

    static let cModulesStayInside = Rule(
        name: "a C module never shows in a public interface",
        offender: { SourceFile(path: "Sources/CulvertIO/Bad.swift", text: "public import CLinux\n") },
        findings: { file in
            guard file.isSwift, file.isProduct else { return [] }
            return eachLine(of: file) { line in
                guard let (module, attributes) = importedModule(line),
                    ["CLinux", "CCrypto", "CLibSSH2"].contains(module)
                else { return nil }
                return attributes == ["internal"] ? nil : "\(module) is imported as `internal import`"
            }
        })

    static let noFoundation = Rule(
        name: "no Foundation on the data path",
        offender: { SourceFile(path: "Sources/CulvertRelay/Bad.swift", text: "internal import Foundation\n") },
        findings: { file in
            guard ["CulvertPlan", "CulvertIO", "CulvertSSH", "CulvertLibSSH2", "CulvertRelay"].contains(file.target),
                file.isProduct
            else { return [] }
            return eachLine(of: file) { line in
                guard let (module, _) = importedModule(line), module.hasPrefix("Foundation") || module == "Dispatch"
                else { return nil }
                return "\(module) allocates, locks and is large: use Glibc"
            }
        })

    static let maximumLines = 600

    static let length = Rule(
        name: "a file has one subject, and fits in \(maximumLines) lines",
        offender: {
            SourceFile(path: "Sources/CulvertIO/Bad.swift", text: String(repeating: "\n", count: maximumLines + 1))
        },
        findings: { file in
            guard file.isSwift || file.path.hasSuffix(".c") || file.path.hasSuffix(".py") else { return [] }
            let count = file.lines.count - 1
            guard count > maximumLines else { return [] }
            return [
                Finding(path: file.path, line: maximumLines, complaint: "\(count) lines: which subjects are in it?")
            ]
        })

    static let lineBreaks = Rule(
        name: "text files end in one line break, and have no tabs or spaces at the end of a line",
        offender: { SourceFile(path: "README.md", text: "text \nmore\n") },
        findings: { file in
            guard !file.text.isEmpty else { return [] }
            var found = eachLine(of: file) { line in
                line.hasSuffix(" ") || line.hasSuffix("\t") || line.hasSuffix("\r")
                    ? "space at the end of the line" : nil
            }
            if !file.text.hasSuffix("\n") || file.text.hasSuffix("\n\n") {
                found.append(Finding(path: file.path, line: file.lines.count, complaint: "ends in one line break"))
            }
            return found
        })

    static let leftovers = Rule(
        name: "nothing is left to do in the text",
        offender: { SourceFile(path: "Sources/CulvertIO/Bad.swift", text: "// \("TO" + "DO"): later\n") },
        findings: { file in
            let marks = ["TO" + "DO", "FIX" + "ME", "HA" + "CK:", "<<<<" + "<<<", ">>>>" + ">>>"]
            return eachLine(of: file) { line in
                marks.first { line.contains($0) }.map { "\($0): do it, or open an issue" }
            }
        })

    static let bannedNames = Rule(
        name: "a type says what it is",
        offender: { SourceFile(path: "Sources/CulvertRelay/Bad.swift", text: "final class Flow\("Manager") {}\n") },
        findings: { file in
            guard file.isSwift else { return [] }
            let keywords: Set<String> = ["class", "struct", "enum", "actor", "protocol", "typealias"]
            return eachLine(of: file) { line in
                let words = line.split { !($0.isLetter || $0.isNumber || $0 == "_" || $0 == "`") }.map(String.init)
                for (keyword, name) in zip(words, words.dropFirst()) where keywords.contains(keyword) {
                    if let banned = ["Manager", "Helper", "Util", "Utils", "Utility", "Utilities"].first(where: {
                        name.hasSuffix($0)
                    }) {
                        return "\(name): '\(banned)' says nothing"
                    }
                }
                return nil
            }
        })

    static let machinePaths = Rule(
        name: "no path or name of the machine it was written on",
        offender: { SourceFile(path: "perf/bad.sh", text: "cd \("/wo" + "rk")/culvert\n") },
        findings: { file in
            // Spelled in two halves, so that this file is no offender.
            let marks = [
                "/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/runner", "../sha" + "red", "/opt/wh" + "eels",
                "/opt/sw" + "ift",
            ]
            return eachLine(of: file) { line in
                marks.first { line.contains($0) }.map { "\($0) exists on one machine only" }
            }
        })

    static let uncheckedBuilds = Rule(
        name: "checks stay on in release builds",
        offender: { SourceFile(path: "Makefile", text: "swift build -Xswiftc -Oun\("checked")\n") },
        findings: { file in
            eachLine(of: file) { $0.contains("-Oun" + "checked") ? "takes the preconditions out" : nil }
        })

    static let existentials = Rule(
        name: "no existential in the targets of the data path",
        offender: { SourceFile(path: "Sources/CulvertRelay/Bad.swift", text: "let driver: any IODriver\n") },
        findings: { file in
            guard ["CulvertIO", "CulvertRelay"].contains(file.target), file.isProduct, file.isSwift else { return [] }
            return eachLine(of: file) { line in
                let code = line.components(separatedBy: "//")[0]
                // An error that is thrown is no longer the data path.
                guard code.contains("any IODriver") || code.contains("any Engine") || code.contains("any SSHEngine")
                else { return nil }
                return "use a generic parameter or an enum"
            }
        })

    static let randomness = Rule(
        name: "the product's randomness is the system's",
        offender: {
            SourceFile(path: "Sources/CulvertSSH/Bad.swift", text: "let source = .reproduc\("ible")(seed: 1)\n")
        },
        findings: { file in
            guard file.isSwift, file.isProduct else { return [] }
            return eachLine(of: file) { line in
                let isUse = line.contains("reproducible(") && !line.contains("static func")
                return isUse ? "who knows the seed knows every key" : nil
            }
        })
}
