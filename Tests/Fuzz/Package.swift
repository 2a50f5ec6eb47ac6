// swift-tools-version: 6.2
// The fuzzers: the product's own targets once more, built with libFuzzer's instrumentation, and one program over them.
// `make fuzz` builds and runs it. `Sources` and `Bodies` are links, since a package's targets lie inside of it.
import PackageDescription

let rules: [SwiftSetting] = [
    .swiftLanguageMode(.v6), .strictMemorySafety(),
    .enableUpcomingFeature("MemberImportVisibility"), .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]
let testRules: [SwiftSetting] = [.swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny")]
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")

let package = Package(
    name: "fuzz",
    products: [.executable(name: "fuzz", targets: ["fuzz"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
    ],
    targets: [
        .target(name: "CCrypto", path: "Sources/CCrypto", linkerSettings: [.linkedLibrary("crypto")]),
        .target(name: "CulvertPlan", path: "Sources/CulvertPlan", swiftSettings: rules),
        .target(
            name: "CulvertSSH", dependencies: ["CCrypto", "CulvertPlan", crypto], path: "Sources/CulvertSSH",
            swiftSettings: rules),
        .target(
            name: "CulvertIdentity", dependencies: ["CulvertPlan", "CulvertSSH", crypto],
            path: "Sources/CulvertIdentity",
            swiftSettings: rules),
        .target(
            name: "CulvertConfig",
            dependencies: [
                "CulvertPlan", .product(name: "ArgumentParser", package: "swift-argument-parser"), crypto,
                .product(name: "TOMLKit", package: "TOMLKit"),
            ],
            path: "Sources/CulvertConfig", swiftSettings: rules),
        .target(name: "CLinux", path: "Sources/CLinux", linkerSettings: [.linkedLibrary("uring")]),
        .systemLibrary(name: "CLibSSH2", path: "Sources/CLibSSH2", pkgConfig: "libssh2"),
        .target(name: "CulvertIO", dependencies: ["CLinux"], path: "Sources/CulvertIO", swiftSettings: rules),
        .target(
            name: "CulvertLibSSH2", dependencies: ["CLibSSH2", "CulvertPlan", "CulvertSSH"],
            path: "Sources/CulvertLibSSH2",
            swiftSettings: rules),
        .target(
            name: "CulvertRelay", dependencies: ["CulvertIO", "CulvertPlan", "CulvertSSH", "CulvertLibSSH2"],
            path: "Sources/CulvertRelay", swiftSettings: rules),
        .target(
            name: "CulvertControl",
            dependencies: ["CulvertConfig", "CulvertIO", "CulvertPlan", "CulvertRelay", "CulvertSSH"],
            path: "Sources/CulvertControl", swiftSettings: rules),
        .target(
            name: "FuzzBodies",
            dependencies: [
                "CulvertSSH", "CulvertIdentity", "CulvertConfig", "CulvertPlan", "CulvertRelay", "CulvertControl",
                crypto,
            ],
            path: "Bodies",
            swiftSettings: testRules),
        // libFuzzer has the program's `main`.
        .executableTarget(
            name: "fuzz", dependencies: ["FuzzBodies"], path: "Runner",
            swiftSettings: testRules + [.unsafeFlags(["-parse-as-library"])]),
    ]
)
