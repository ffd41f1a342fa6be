finbenchOutcomes({
"task": "fin_xbrl_tags",
"letters": "#$%'()*+,-./0123456789:;=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~",
"sets": [
{
"prefix": "xbrl_tags-test-",
"ids": "3\n4\n6\n7\n11\n13\n14\n17\n18\n21\n23\n29\n31\n34\n36\n37\n38\n39\n41\n44\n47\n51\n52\n55\n59\n61\n62\n66\n69\n72\n75\n76\n79\n81\n85\n86\n92\n93\n94\n101",
"clusters": "0 1 2 3 4 5 6 7 8 9 10 11 12 8 13 14 15 16 17 18 19 6 20 21 22 23 24 17 25 26 27 28 29 30 31 32 33 10 10 34",
"answers": [
"4c7b004e78ab7273",
"4b7a21a29a62d46d",
"e10949597e52f698",
"e6dadc5355ad8c28",
"155aa64a527170c1",
"628420ec8f8e17e0",
"88237903c757dbe7",
"25560f0492dafc57",
"6f2672bfcb05904e",
"f181667a2fb72e3d",
"db39ade49d4a1700",
"81a6cafc491c5433",
"2767881d36214eb7",
"290bfc165f27b679",
"0d9e0a3d7cf28cb4",
"d817ba1a05a2f829",
"3a473c8ca2db675d",
"78c13d21eb7dacf7",
"f69f8aa33d1e294a",
"0fe7a22030ae8093",
"2565b94e02f67662",
"7485b4b682919b77",
"dbc95c99aa5d6c3b",
""
],
"width": 1,
"golds": "#$%'()*+,-.,/,0123'45**5116'),7#8*9#9..:",
"cells": {
"75d7e103e3ec": ";;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;",
"e953aea60928": ";;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;"
},
"right": {}
}
]
});
